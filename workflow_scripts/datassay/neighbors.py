"""Nearest neighbours: exact by blocked matrix products, approximate by an HNSW graph whose recall is measured."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from datassay.errors import DatassayError, did_you_mean

Metric = Literal["cosine", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
UNIT = 2.0**-24  # rounding unit of float32


def exact_neighbors(
    queries: np.ndarray,
    base: np.ndarray,
    k: int,
    *,
    metric: Metric = "cosine",
    block: int = 1024,
    exclude_self: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest base rows of every query, nearest first, ties by lowest row.

    queries [n, d] and base [N, d] may be memory-mapped; rows are read in blocks. metric: "cosine" (1 - cos, 1 where
    either row is zero) or "euclidean" (the distance itself). exclude_self: queries are the rows of base, and no row is
    its own neighbour. Returns ids int64 [n, k] and distances float32 [n, k]; equal rows are at distance exactly 0.

    A float32 matrix product bounds every distance from below and above; whatever may belong to the k nearest is
    measured again in float64, so that the answer does not depend on block, threads or cancellation.
    Raises DatassayError for k outside 1..N, unequal widths or values that are not finite.
    Time O(n N d), memory O(block * (4 block + k) + block * d).
    """
    check_metric(metric)
    _check_shapes(queries, base, k, exclude_self)
    ids = np.empty((len(queries), k), dtype=np.int64)
    distances = np.empty((len(queries), k), dtype=np.float32)
    width = max(4 * block, 2 * k)
    centre = _centre(base[:width], metric)
    for start in range(0, len(queries), block):
        own = np.arange(start, min(start + block, len(queries)))
        chunk, squares = _prepared(queries, own[0], own[-1] + 1, metric, centre, "queries")
        rows, found = _candidates(chunk, squares, base, k, metric, centre, width, own if exclude_self else None)
        ids[own], distances[own] = _nearest(queries[own], base, rows, found, k, metric)
    return ids, distances


def check_metric(metric: str) -> None:
    """Raise DatassayError for a metric that is not known."""
    if metric not in METRICS:
        raise DatassayError(f"metric '{metric}' is not known{did_you_mean(metric, METRICS)}")


def _check_shapes(queries: np.ndarray, base: np.ndarray, k: int, exclude_self: bool) -> None:
    if queries.ndim != 2 or base.ndim != 2 or queries.shape[1] != base.shape[1]:
        raise DatassayError(f"queries {queries.shape} and base {base.shape} must be matrices of equal width")
    if exclude_self and len(queries) != len(base):
        raise DatassayError(f"exclude_self: queries ({len(queries)} rows) must be base itself ({len(base)} rows)")
    most = len(base) - exclude_self
    if not 1 <= k <= most:
        raise DatassayError(f"k = {k} neighbours of {most} rows, allowed: 1 to {most}")


def _centre(rows: np.ndarray, metric: Metric) -> np.ndarray:
    """Any origin serves; one amid the data keeps the norms, and with them the rounding, small."""
    return np.zeros(rows.shape[1]) if metric == "cosine" else np.asarray(rows, dtype=np.float64).mean(axis=0)


def _prepared(
    rows: np.ndarray, start: int, stop: int, metric: Metric, centre: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows[start:stop] moved to the centre or scaled to unit length, in float32, and their squared norms."""
    block = _scaled(rows[start:stop], metric) - centre
    squares = np.einsum("ij,ij->i", block, block)
    if not np.isfinite(squares).all():
        row = start + int(np.argmin(np.isfinite(squares)))
        raise DatassayError(f"{name}: row {row} holds a value that is not finite, only finite numbers are allowed")
    if metric == "cosine":
        squares = np.ones_like(squares)  # of a zero row too, which puts it at distance 1 from everything
    return block.astype(np.float32), squares


def _scaled(rows: np.ndarray, metric: Metric) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    if metric == "euclidean":
        return rows
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return rows / np.where(norms == 0, 1, norms)[:, None]


def _candidates(
    chunk: np.ndarray,
    squares: np.ndarray,
    base: np.ndarray,
    k: int,
    metric: Metric,
    centre: np.ndarray,
    width: int,
    own: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (query row, base row) of every pair whose distance may be among the k smallest of its query.

    |q - b|^2 = |q|^2 + |b|^2 - 2 q.b in float32 is off by less than slack * (|q|^2 + |b|^2), d terms being summed.
    """
    slack = UNIT * (chunk.shape[1] + 16)
    doubled = -2 * chunk
    limit = np.full(len(chunk), np.inf)  # the k-th smallest upper bound so far
    rows, found, lower, upper = (np.empty(0, dtype=t) for t in (np.int32, np.int64, np.float64, np.float64))
    for start in range(0, len(base), width):
        part, part_squares = _prepared(base, start, min(start + width, len(base)), metric, centre, "base")
        product = doubled @ part.T
        product += (part_squares * (1 - slack)).astype(np.float32)
        if own is not None:
            inside = np.flatnonzero((own >= start) & (own < start + width))
            product[inside, own[inside] - start] = np.inf
        if start == 0 and part.shape[0] > k:
            bounds = product + (2 * slack * part_squares).astype(np.float32)
            limit = np.partition(bounds, k - 1, axis=1)[:, k - 1] + squares * (1 + 2 * slack)
        reach = np.nextafter((limit - squares * (1 - slack)).astype(np.float32), np.float32(np.inf))
        pairs = np.flatnonzero(product < np.nextafter(reach, np.float32(np.inf))[:, None])
        row, column = np.divmod(pairs, part.shape[0])
        low = product.ravel()[pairs] + squares[row] * (1 - slack)
        high = low + 2 * slack * (squares[row] + part_squares[column])
        rows, found = np.concatenate([rows, row.astype(np.int32)]), np.concatenate([found, column + start])
        lower, upper = np.concatenate([lower, low]), np.concatenate([upper, high])
        if len(rows) > 4 * k * len(chunk) or start + width >= len(base):
            limit = np.minimum(limit, _smallest(rows, upper, k, len(chunk)))
            keep = lower <= limit[rows]
            rows, found, lower, upper = rows[keep], found[keep], lower[keep], upper[keep]
    return rows, found


def _smallest(rows: np.ndarray, values: np.ndarray, k: int, n: int) -> np.ndarray:
    """Return the k-th smallest value of every row 0..n-1, infinity where a row has fewer."""
    order = np.lexsort((values, rows))
    counts = np.bincount(rows, minlength=n)
    starts = np.cumsum(counts) - counts
    result = np.full(n, np.inf)
    full = counts >= k
    result[full] = values[order[starts[full] + k - 1]]
    return result


def _nearest(
    queries: np.ndarray, base: np.ndarray, rows: np.ndarray, found: np.ndarray, k: int, metric: Metric
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the candidate pairs in float64 and return the k nearest of every query."""
    exact = np.concatenate([_distances(queries[r], base[f], metric) for r, f in _pieces(rows, found, 8192)])
    order = np.lexsort((found, exact, rows))
    counts = np.bincount(rows, minlength=len(queries))
    first = order[(np.cumsum(counts) - counts)[:, None] + np.arange(k)]
    return found[first], exact[first].astype(np.float32)


def _pieces(rows: np.ndarray, found: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size], found[start : start + size]


def _distances(left: np.ndarray, right: np.ndarray, metric: Metric) -> np.ndarray:
    """Distance of left[i] and right[i] in float64, by differences: equal rows are at 0."""
    left, right = _scaled(left, metric), _scaled(right, metric)
    difference = left - right
    squared = np.einsum("ij,ij->i", difference, difference)
    if metric == "euclidean":
        return np.sqrt(squared)
    nothing = ~(left.any(axis=1) & right.any(axis=1))
    return np.where(nothing, 1.0, squared / 2)
