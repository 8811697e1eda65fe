"""What surprises a masked language model in a text, token by token: where ALPS starts without any label.

Source: Yuan et al., EMNLP 2020 (arXiv 2010.09535).
"""

import logging
from typing import TYPE_CHECKING

import numpy as np

from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import Surprise
from datassay.measures._language import Language, encode, fail, passes, token_scores
from datassay.randomness import generator

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

UNIT_TEXTS = 8192
KEY = "active_learning.alps"


def token_surprisal(examples: "pd.DataFrame", settings: Surprise, progress: Checkpoints) -> np.ndarray:
    """Return the loss (nats) of a sample of every text's tokens, float32 [n, longest text in tokens], 0 elsewhere.

    examples: as for `pseudo_log_likelihood`. Of the content tokens of a text round(share * count), at least one, are
    drawn by (seed, number of the text). With mode "masked" they are hidden from the model, all at once; "unmasked"
    shows the text as it is, as the authors do. One pass per text; thousands of texts are a checkpoint record.
    Raises DatassayError for a model that cannot be loaded or is no masked one. Memory 4 n L bytes.
    """
    import torch

    language = Language(settings, KEY)
    if language.causal:
        fail(KEY, settings, "it reads from left to right, name a masked language model")
    texts = encode(examples, language, settings)
    for number, content in enumerate(texts.places):
        count = max(1, round(settings.share * len(content)))
        rng = generator(settings.seed, "surprisal", number)
        texts.places[number] = np.sort(rng.permutation(content)[:count])
    found = np.zeros((len(texts.ids), max(map(len, texts.ids), default=0)), np.float32)
    order = np.argsort([-len(ids) for ids in texts.ids], kind="stable")
    for start in range(0, len(order), UNIT_TEXTS):
        rows, name = order[start : start + UNIT_TEXTS], f"surprisal{start:010d}"
        if (record := progress.load(name)) is None:
            values = np.zeros((len(rows), found.shape[1]), np.float32)
            place = {int(row): number for number, row in enumerate(rows)}
            with torch.inference_mode():
                for owners, places in passes(rows, texts, settings.tokens_per_batch, one_by_one=False):
                    sequences, scores = token_scores(owners, places, texts, language, settings.mode == "masked")
                    values[np.array([place[i] for i in owners])[sequences], np.concatenate(places)] = -scores
            record = {"values": values}
            progress.save(name, record)
            unit_done("surprisal_unit")
        found[rows] = record["values"]
        logger.info("surprisal: %d of %d texts", min(start + UNIT_TEXTS, len(order)), len(order))
    return found
