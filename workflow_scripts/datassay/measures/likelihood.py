"""How expected a text is in the eyes of a language model with its pretrained weights.

Source: Salazar et al., ACL 2020 (arXiv 1910.14659), used by infoVerse (Kim et al., ACL 2023) as column 22.
"""

import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import LanguageModel
from datassay.measures._language import Language, Texts, encode, passes, token_scores
from datassay.shards import ALL, Part

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
UNIT_TOKENS = 1 << 20  # tokens that go through the model between two saves


def pseudo_log_likelihood(
    examples: "pd.DataFrame", settings: LanguageModel, progress: Checkpoints, part: Part = ALL
) -> np.ndarray:
    """Return the mean log-probability (nats) of the content tokens of every text, float32 [n].

    examples: columns text and, for pairs, text_b, which go through the tokenizer's own pair encoding; the options of a
    multiple choice stand in the second text, all of them, as for the encoder: the label is not looked at. Content is
    what the tokenizer did not add; a text without any scores 0. part: the texts of other jobs' units are 0, so that the
    sum over all parts is the whole. Three ways, each with the pretrained weights, dropout off:

    - a masked model with mode "masked": log P(x_j | all other tokens), one pass per token with that token masked;
    - a masked model with mode "unmasked": the same of one pass in which nothing is masked, so that the model sees
      what it predicts: cheap, and closer to 0;
    - a causal model (mode does not matter): log P(x_j | x_<j) of one pass behind its start token; where its tokenizer
      has none, the first token counts as given.

    Texts are sorted by length and batches hold up to tokens_per_batch tokens, which changes results by rounding only.
    Time: passes x length, where passes are the content tokens (masked) or one per text. Memory O(tokens_per_batch).
    Raises DatassayError for a model that cannot be loaded, is an encoder-decoder or lacks pretrained weights.
    """
    import torch

    language = Language(settings)
    texts = encode(examples, language, settings)
    scores = np.zeros(len(texts.ids), np.float32)
    order = np.argsort([-len(ids) for ids in texts.ids], kind="stable")
    counts = np.array([len(texts.places[i]) if language.masked_one_by_one else 1 for i in order])
    units = np.cumsum(counts * [len(texts.ids[i]) for i in order]) // UNIT_TOKENS
    started, done = time.monotonic(), 0
    own = np.unique(units)
    for unit in own[part.slice(len(own))]:
        rows = order[units == unit]
        record = progress.load(f"unit{unit}")
        if record is None:
            with torch.inference_mode():
                record = {"scores": _means(rows, texts, language, settings)}
            progress.save(f"unit{unit}", record)
            unit_done("likelihood_unit")
        scores[rows] = record["scores"]
        done += len(rows)
        logger.info("likelihood: %d of %d texts (%.0f s)", done, len(order), time.monotonic() - started)
    return scores


def _means(rows: np.ndarray, texts: Texts, language: Language, settings: LanguageModel) -> np.ndarray:
    """Return the mean log-probability of the content tokens of some texts, longest first, float32."""
    sums = np.zeros(len(texts.ids))
    for owners, places in passes(rows, texts, settings.tokens_per_batch, language.masked_one_by_one):
        sequences, scores = token_scores(owners, places, texts, language, language.masked_one_by_one)
        np.add.at(sums, np.asarray(owners)[sequences], scores.astype(np.float64))
    counts = np.array([len(texts.places[i]) for i in rows])
    return (sums[rows] / np.maximum(counts, 1)).astype(np.float32)
