"""How expected a text is: its pseudo-log-likelihood under a masked language model.

Source: Salazar et al., ACL 2020 (arXiv 1910.14659), used by infoVerse (Kim et al., ACL 2023) as column 22.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.checkpoints import Checkpoints, unit_done
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
TOKENS_PER_BATCH = 8192  # bounds the memory of one forward pass, whatever the lengths of the texts
TEXTS_PER_SHARD = 512


def pseudo_log_likelihood(examples: "pd.DataFrame", source: Mapping[str, Any], progress: Checkpoints) -> np.ndarray:
    """Return the mean over content tokens j of log P(x_j | all other tokens), float32 [n].

    examples: columns text and, for pairs, text_b. source: {"model": hub name or folder, "revision": commit or None}.
    Token j is masked and predicted by the masked language model with its pretrained weights, dropout off. A text
    without content tokens scores 0. One forward row per token: time O(tokens x length), memory O(TOKENS_PER_BATCH).
    """
    import torch

    tokenizer, model = _load(source)
    pair = [examples["text_b"].tolist()] if "text_b" in examples else []
    encoded = tokenizer(examples["text"].tolist(), *pair, truncation=True, return_special_tokens_mask=True)
    ids = [np.array(row) for row in encoded["input_ids"]]
    content = [np.flatnonzero(np.array(row) == 0) for row in encoded["special_tokens_mask"]]
    order = np.argsort([len(row) for row in ids], kind="stable")
    scores = np.zeros(len(ids), np.float32)
    started = time.monotonic()
    for number, start in enumerate(range(0, len(order), TEXTS_PER_SHARD)):
        shard = order[start : start + TEXTS_PER_SHARD]
        record = progress.load(f"shard{number}")
        if record is None:
            with torch.inference_mode():
                sums = _score([ids[i] for i in shard], [content[i] for i in shard], tokenizer, model)
            record = {"scores": sums}
            progress.save(f"shard{number}", record)
            unit_done("likelihood_shard")
        scores[shard] = record["scores"]
        done = min(start + TEXTS_PER_SHARD, len(order))
        logger.info("likelihood: %d of %d texts (%.0f s)", done, len(order), time.monotonic() - started)
    return scores


def _load(source: Mapping[str, Any]) -> tuple[Any, Any]:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    name, revision = source["model"], source.get("revision")
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        model, report = AutoModelForMaskedLM.from_pretrained(name, revision=revision, output_loading_info=True)
    except (OSError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise DatassayError(f"meta_information.language_model: cannot load '{name}': {reason}") from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])[0]
        raise DatassayError(
            f"meta_information.language_model: '{name}' has no pretrained {missing}, it is no masked language model"
        )
    if tokenizer.mask_token_id is None:
        raise DatassayError(f"meta_information.language_model: the tokenizer of '{name}' has no mask token")
    return tokenizer, model.eval()


def _score(ids: Sequence[np.ndarray], content: Sequence[np.ndarray], tokenizer: Any, model: Any) -> np.ndarray:
    """Return the mean log-probability of the content tokens of each text, float32."""
    import torch

    sums = np.zeros(len(ids))
    jobs = [(text, position) for text, positions in enumerate(content) for position in positions]
    for batch in _batches(jobs, ids):
        width = max(len(ids[text]) for text, _ in batch)
        tokens = np.full((len(batch), width), tokenizer.pad_token_id or 0)
        mask = np.zeros_like(tokens)
        for row, (text, position) in enumerate(batch):
            tokens[row, : len(ids[text])] = ids[text]
            tokens[row, position] = tokenizer.mask_token_id
            mask[row, : len(ids[text])] = 1
        logits = model(input_ids=torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask)).logits
        rows = torch.arange(len(batch))
        at_mask = logits[rows, torch.tensor([position for _, position in batch])].float().log_softmax(-1)
        truth = torch.tensor([int(ids[text][position]) for text, position in batch])
        np.add.at(sums, [text for text, _ in batch], at_mask[rows, truth].double().numpy())
    counts = np.array([len(positions) for positions in content])
    return (sums / np.maximum(counts, 1)).astype(np.float32)


def _batches(jobs: Sequence[tuple[int, int]], ids: Sequence[np.ndarray]) -> Iterator[Sequence[tuple[int, int]]]:
    """Cut jobs, which come with rising text length, into batches of at most TOKENS_PER_BATCH tokens."""
    start = 0
    for end in range(1, len(jobs) + 1):
        if end == len(jobs) or (end + 1 - start) * len(ids[jobs[end][0]]) > TOKENS_PER_BATCH:
            yield jobs[start:end]
            start = end
