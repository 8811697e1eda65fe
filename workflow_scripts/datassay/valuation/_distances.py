"""What the estimators on all distances share: checks, blocked distances, and the mean over valuation points."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from datassay.errors import DatassayError
from datassay.neighbors import Metric, check_metric, thread_count

logger = logging.getLogger(__name__)

TILE = 4096  # train rows turned to float64 at a time
MOST_CELLS = 2**26  # of the block of distances: 512 MiB, whatever block was asked for

ToValues = Callable[[np.ndarray, np.ndarray, int, int, int], None]


def mean_over_points(
    train_x: np.ndarray, valid_x: np.ndarray, to_values: ToValues, metric: Metric, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the values over all valuation points and its standard error, float64 [N] each.

    to_values(squared, offsets, first, start, stop) overwrites rows start..stop of squared, the squared distances less
    offsets of a block of points that begins at point `first`, by the values of every train row. The error is the sample
    standard deviation over points divided by the root of their number, NaN where there is only one. Neither block nor
    threads matter.
    """
    from threadpoolctl import threadpool_limits

    n, v = len(train_x), len(valid_x)
    squares_of(valid_x, np.zeros(valid_x.shape[1]), "euclidean", "valid_x")  # a NaN would spread through the centre
    centre = _centre(valid_x, metric)
    squares_of_rows = squares_of(train_x, centre, metric, "train_x")
    sums, squares = np.zeros(n), np.zeros(n)
    rows = max(1, min(block, v, MOST_CELLS // n))
    distances = np.empty((rows, n))
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(thread_count()) as pool:
        told = time.monotonic()
        for start in range(0, v, rows):
            stop = min(start + rows, v)
            part = distances[: stop - start]
            offsets = _fill(pool, part, train_x, squares_of_rows, valid_x[start:stop], centre, metric)
            _accumulate(pool, part, offsets, start, to_values, sums, squares)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                logger.info("%d/%d valuation points", stop, v)
    return mean_and_error(sums, squares, v)


def mean_and_error(sums: np.ndarray, squares: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error of `count` numbers from their sums and sums of squares, NaN errors for one."""
    if count == 1:
        return sums, np.full(len(sums), np.nan)
    variance = np.maximum(squares - sums**2 / count, 0) / (count - 1)
    return sums / count, np.sqrt(variance / count)


def check_data(
    train_x: np.ndarray, train_y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray, metric: str, **whole: int
) -> None:
    """Raise DatassayError for empty splits, unequal shapes, an unknown metric and whole numbers below 1."""
    check_metric(metric)
    for split, x, y in (("train", train_x, train_y), ("valid", valid_x, valid_y)):
        if x.ndim != 2 or x.dtype.kind not in "fiub":
            raise DatassayError(f"{split}_x: {x.ndim} axes of type {x.dtype}, expected a matrix of numbers")
        if len(x) == 0:
            raise DatassayError(f"{split}_x: no rows, at least one is needed")
        if y.shape != (len(x),):
            raise DatassayError(f"{split}_y: shape {y.shape}, expected one label for each of {len(x)} rows")
    if train_x.shape[1] != valid_x.shape[1]:
        raise DatassayError(f"valid_x: {valid_x.shape[1]} columns, expected {train_x.shape[1]} as in train_x")
    for name, number in whole.items():
        if number != int(number) or number < 1:
            raise DatassayError(f"{name} = {number}, allowed: whole numbers from 1")


def encoded(train_y: np.ndarray, valid_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both label arrays as int32 codes. Raises DatassayError for labels that are neither integers nor text."""
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


def squares_of(rows: np.ndarray, centre: np.ndarray, metric: Metric, name: str) -> np.ndarray:
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
    offsets = squares_of(points, centre, metric, "valid_x")
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
    first: int,
    to_values: ToValues,
    sums: np.ndarray,
    squares: np.ndarray,
) -> None:
    """Turn the distances into values for every point and add them, with their squares, to the sums."""
    from datassay.valuation._kernels import add_columns

    def split(size: int, pieces: int, task: Callable[[int, int], None]) -> None:
        edges = np.linspace(0, size, pieces + 1).astype(int).tolist()
        list(pool.map(task, edges[:-1], edges[1:]))

    threads = pool._max_workers
    split(len(part), 4 * threads, lambda a, b: to_values(part, offsets, first, a, b))
    split(part.shape[1], threads, lambda a, b: add_columns(part, sums, squares, a, b))
