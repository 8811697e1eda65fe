"""Checks and orders that every strategy shares."""

import numpy as np

from datassay.errors import DatassayError

CHUNK = 4096


def check_rows(name: str, array: np.ndarray, n_dimensions: int, n_rows: int | None = None) -> np.ndarray:
    """Return the array if it is finite, has that many dimensions and `n_rows` rows (at least one).

    Raises DatassayError that names the argument otherwise.
    """
    array = np.asarray(array)
    if array.ndim != n_dimensions or not len(array) or array.dtype.kind not in "biuf":
        raise DatassayError(f"{name}: {array.dtype} of shape {array.shape}, needs {n_dimensions}-D numbers, >= 1 row")
    if n_rows is not None and len(array) != n_rows:
        raise DatassayError(f"{name}: {len(array)} rows, needs {n_rows} as the other arrays")
    for start in range(0, len(array), CHUNK):
        bad = ~np.isfinite(array[start : start + CHUNK].reshape(len(array[start : start + CHUNK]), -1)).all(axis=1)
        if bad.any():
            raise DatassayError(f"{name}: row {start + int(bad.argmax())} is NaN or infinite, needs finite values")
    return array


def check_count(n_select: int, n_rows: int) -> int:
    """Return n_select if it lies in 1..n_rows, else raise DatassayError."""
    if not 1 <= n_select <= n_rows:
        raise DatassayError(f"n_select: {n_select}, allowed: 1 to the number of rows, {n_rows}")
    return int(n_select)


def unit_float32(features: np.ndarray) -> np.ndarray:
    """Return the rows scaled to unit length as float32 [N, d]; a zero row stays 0. Norms are taken in float64."""
    unit = np.empty(features.shape, np.float32)
    for start in range(0, len(features), CHUNK):
        block = features[start : start + CHUNK].astype(np.float64)
        scale = np.abs(block).max(axis=1, keepdims=True, initial=0.0)
        block /= np.where(scale > 0, scale, 1.0)  # first to the largest entry, so that no square over- or underflows
        norm = np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        unit[start : start + CHUNK] = block / np.where(norm > 0, norm, 1.0)
    return unit


def by_score(score: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows by falling score as int64 [N]; equal scores in random order, so that no file order leaks in."""
    return np.lexsort((rng.permutation(len(score)), -np.asarray(score, np.float64))).astype(np.int64)


def in_rounds(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows as int64 [N] that take one row of every group in turn until the groups are used up.

    The rows of a group, and the groups within a round, come in random order. Every prefix holds equally many rows
    (+-1) of all groups that are not used up: the water-filling budget, nested.
    """
    order = rng.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    sizes = np.unique(groups, return_counts=True)[1]
    turn = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order[np.lexsort((rng.permutation(len(groups)), turn))].astype(np.int64)
