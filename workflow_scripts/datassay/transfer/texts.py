"""Texts that two data sets share."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

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


def shared_share(a: np.ndarray, b: np.ndarray) -> float:
    """Return the larger of the shares of their texts that two data sets have in common; a, b: their `text_hashes`."""
    return len(np.intersect1d(a, b, assume_unique=True)) / max(min(len(a), len(b)), 1)


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return what two sets of distinct numbers have in common, as a share of both together."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / max(len(a) + len(b) - common, 1)
