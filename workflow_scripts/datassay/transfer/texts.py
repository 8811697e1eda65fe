"""What the texts of two data sets have in common."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from datassay.config import Finetune
from datassay.encoders.texts import whole_texts

if TYPE_CHECKING:
    import pandas as pd


def text_hashes(examples: "pd.DataFrame") -> np.ndarray:
    """Return a 64-bit hash of every distinct text (pair) of the examples, uint64, sorted.

    Case and white space do not count: copies of a data set are often stored anew.
    """
    first, second = whole_texts(examples)
    texts = first if second is None else [f"{a}\t{b}" for a, b in zip(first, second, strict=True)]
    plain = (" ".join(text.lower().split()).encode() for text in texts)
    digests = (hashlib.blake2b(text, digest_size=8).digest() for text in plain)
    return np.unique(np.fromiter((int.from_bytes(digest, "little") for digest in digests), np.uint64, len(first)))


def vocabulary(examples: "pd.DataFrame", settings: Finetune) -> np.ndarray:
    """Return the token ids that occur in the texts, int64, sorted; the tokenizer is the base model's."""
    from transformers import AutoTokenizer

    from datassay.encoders.backbones import OWN_CODE_ONLY, loading, model_source

    with loading(settings.backbone):
        tokenizer = AutoTokenizer.from_pretrained(
            model_source(settings.backbone), revision=settings.revision, **OWN_CODE_ONLY
        )
    texts = [list(part) for part in whole_texts(examples) if part is not None]
    ids = [row for part in texts for row in tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]]
    return np.unique(np.concatenate([np.asarray(row, dtype=np.int64) for row in ids]))


def shared_share(a: np.ndarray, b: np.ndarray) -> float:
    """Return the larger of the shares of their texts that two data sets have in common; a, b: their `text_hashes`."""
    return len(np.intersect1d(a, b, assume_unique=True)) / max(min(len(a), len(b)), 1)


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return what two sets of distinct numbers have in common, as a share of both together."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / max(len(a) + len(b) - common, 1)
