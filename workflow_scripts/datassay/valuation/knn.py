"""Exact Shapley values of training points under a K-nearest-neighbour classifier (Jia et al., VLDB 2019)."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from datassay.errors import DatassayError
from datassay.neighbors import Metric, check_metric, thread_count
from datassay.registry import estimator

logger = logging.getLogger(__name__)

TILE = 4096  # train rows turned to float64 at a time
MOST_CELLS = 2**26  # of the block of distances: 512 MiB, whatever block was asked for


def knn_shapley(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    k: int = 10,
    *,
    metric: Metric = "euclidean",
    block: int = 256,
) -> np.ndarray:
    """Return the exact KNN-Shapley value of every train row, float64 [N].

    The utility of a coalition is the share of right labels among the k nearest rows in it (divisor k, also where it
    has fewer), averaged over the valuation points; the values sum to the utility of all rows. train_x [N, d] and
    valid_x [V, d] hold finite numbers and may be memory-mapped, train_y [N] and valid_y [V] integers or text.
    metric: "euclidean" or "cosine" (a zero row is at distance 1). block: valuation points at a time.

    Jia et al., VLDB 2019 (arXiv 1908.08619), theorem 1. Distances are float64, around the mean of valid_x; squared
    distances whose first 45 binary digits agree are ties, which go by row. Neither block nor threads matter.
    Time O(V N (d + log N)), memory O(block N), at most about 512 MiB where N <= 2^26.
    Raises DatassayError for empty splits, unequal shapes, values that are not finite and labels of another type.
    """
    return knn_shapley_with_error(train_x, train_y, valid_x, valid_y, k, metric=metric, block=block)[0]


@estimator(name="knn_shapley", version=1, source="Jia et al., VLDB 2019, arXiv 1908.08619")
def knn_shapley_with_error(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    k: int = 10,
    *,
    metric: Metric = "euclidean",
    block: int = 256,
) -> tuple[np.ndarray, np.ndarray]:
    """Exact Shapley value under a K-nearest-neighbour classifier, with its standard error over valuation points.

    As `knn_shapley`; the second array, float64 [N], is the sample standard deviation over valuation points divided by
    the root of their number, NaN where there is only one.
    """
    from threadpoolctl import threadpool_limits

    check_metric(metric)
    _check(train_x, train_y, valid_x, valid_y, k, block)
    labels, points = _encoded(train_y, valid_y)
    n, v = len(train_x), len(valid_x)
    ranks = np.arange(1, n + 1)
    weights = np.minimum(k, ranks) / (k * ranks)
    _squares(valid_x, np.zeros(valid_x.shape[1]), "euclidean", "valid_x")  # a NaN would spread through the centre
    centre = _centre(valid_x, metric)
    squares_of_rows = _squares(train_x, centre, metric, "train_x")
    sums, squares = np.zeros(n), np.zeros(n)
    rows = max(1, min(block, v, MOST_CELLS // n))
    distances = np.empty((rows, n))
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(thread_count()) as pool:
        told = time.monotonic()
        for start in range(0, v, rows):
            stop = min(start + rows, v)
            part = distances[: stop - start]
            offsets = _fill(pool, part, train_x, squares_of_rows, valid_x[start:stop], centre, metric)
            _accumulate(pool, part, offsets, labels, points[start:stop], weights, sums, squares)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                logger.info("KNN-Shapley: %d/%d valuation points", stop, v)
    if v == 1:
        return sums, np.full(n, np.nan)
    variance = np.maximum(squares - sums**2 / v, 0) / (v - 1)
    return sums / v, np.sqrt(variance / v)


def _check(
    train_x: np.ndarray, train_y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray, k: int, block: int
) -> None:
    for split, x, y in (("train", train_x, train_y), ("valid", valid_x, valid_y)):
        if x.ndim != 2 or x.dtype.kind not in "fiub":
            raise DatassayError(f"{split}_x: {x.ndim} axes of type {x.dtype}, expected a matrix of numbers")
        if len(x) == 0:
            raise DatassayError(f"{split}_x: no rows, at least one is needed")
        if y.shape != (len(x),):
            raise DatassayError(f"{split}_y: shape {y.shape}, expected one label for each of {len(x)} rows")
    if train_x.shape[1] != valid_x.shape[1]:
        raise DatassayError(f"valid_x: {valid_x.shape[1]} columns, expected {train_x.shape[1]} as in train_x")
    for name, number in (("k", k), ("block", block)):
        if number != int(number) or number < 1:
            raise DatassayError(f"{name} = {number}, allowed: whole numbers from 1")


def _encoded(train_y: np.ndarray, valid_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both label arrays as int32 codes."""
    for name, labels in (("train_y", train_y), ("valid_y", valid_y)):
        if labels.dtype.kind not in "iubU" or (labels.dtype.kind == "U") != (train_y.dtype.kind == "U"):
            raise DatassayError(f"{name}: labels of type {labels.dtype}, expected integers or text in both splits")
    codes = np.unique(np.concatenate([train_y, valid_y]), return_inverse=True)[1].astype(np.int32)
    return codes[: len(train_y)], codes[len(train_y) :]


def _centre(rows: np.ndarray, metric: Metric) -> np.ndarray:
    """Mean of the rows, which keeps cancellation small, at 8 binary digits, so that whole numbers stay exact."""
    if metric == "cosine":
        return np.zeros(rows.shape[1])
    digits, exponents = np.frexp(np.asarray(rows, dtype=np.float64).mean(axis=0))
    return np.ldexp(np.rint(np.ldexp(digits, 8)), exponents - 8)


def _moved(rows: np.ndarray, centre: np.ndarray, metric: Metric) -> np.ndarray:
    """Return the rows in float64, moved to the centre or scaled to unit length."""
    rows = rows - centre
    if metric == "cosine":
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        rows /= np.where(norms == 0, 1, norms)[:, None]
    return rows


def _squares(rows: np.ndarray, centre: np.ndarray, metric: Metric, name: str) -> np.ndarray:
    """Return the squared norm of every moved row; 1 under cosine, also of a zero row: distance 1 from everything."""
    squares = np.empty(len(rows))
    for start in range(0, len(rows), TILE):
        tile = _moved(rows[start : start + TILE], centre, metric)
        squares[start : start + TILE] = np.einsum("ij,ij->i", tile, tile)
    if not np.isfinite(squares).all():
        row = int(np.argmin(np.isfinite(squares)))
        raise DatassayError(f"{name}: row {row} holds a value that is not finite, only finite numbers are allowed")
    return np.ones(len(rows)) if metric == "cosine" else squares


def _fill(
    pool: ThreadPoolExecutor,
    part: np.ndarray,
    train_x: np.ndarray,
    squares: np.ndarray,
    points: np.ndarray,
    centre: np.ndarray,
    metric: Metric,
) -> np.ndarray:
    """Write |t|^2 - 2 v.t of every point v and train row t into part [V, N]; return |v|^2.

    Edges of a product run through other code of the BLAS, with other rounding: sizes are padded, so that equal rows
    are at equal distance wherever they stand.
    """
    offsets = _squares(points, centre, metric, "valid_x")
    left = np.zeros((_padded(len(points), 16), points.shape[1]))
    left[: len(points)] = -2 * _moved(points, centre, metric)

    def fill_tile(start: int) -> None:
        rows = train_x[start : start + TILE]
        right = np.zeros((_padded(len(rows), 64), points.shape[1]))
        right[: len(rows)] = _moved(rows, centre, metric)
        product = left @ right.T
        stop = start + len(rows)
        np.add(product[: len(points), : len(rows)], squares[start:stop], out=part[:, start:stop])

    list(pool.map(fill_tile, range(0, len(train_x), TILE)))
    return offsets


def _padded(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def _accumulate(
    pool: ThreadPoolExecutor,
    part: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
    points: np.ndarray,
    weights: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
) -> None:
    """Turn the distances into values for every point and add them, with their squares, to the sums."""
    from datassay.valuation._kernels import add_columns, shapley_rows

    def split(size: int, pieces: int, task: Callable[[int, int], None]) -> None:
        edges = np.linspace(0, size, pieces + 1).astype(int).tolist()
        list(pool.map(task, edges[:-1], edges[1:]))

    threads = pool._max_workers
    split(len(part), 4 * threads, lambda a, b: shapley_rows(part, offsets, labels, points, weights, a, b))
    split(part.shape[1], threads, lambda a, b: add_columns(part, sums, squares, a, b))
