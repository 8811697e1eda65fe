"""Exact nearest neighbours: float32 matrix products that bound every distance, float64 for what the bounds leave."""

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np

from datassay.errors import DatassayError, did_you_mean
from datassay.shards import ALL, Part

logger = logging.getLogger(__name__)

Metric = Literal["cosine", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
UNIT = 2.0**-24  # rounding unit of float32
BUFFERS = 2**27  # bytes of candidates held at a time
BLOCK = 256  # queries that are compared at a time
WIDTH = 8  # a tile of products has this many times more base rows than queries
SPARE = 64  # candidates that a buffer holds beyond 2 k


def exact_neighbors(
    queries: np.ndarray,
    base: np.ndarray,
    k: int,
    *,
    metric: Metric = "cosine",
    block: int = BLOCK,
    exclude_self: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest base rows of every query, nearest first, ties by lowest row.

    queries [n, d] and base [N, d] may be memory-mapped; rows are read in blocks. metric: "cosine" (1 - cos, 1 where
    either row is zero) or "euclidean" (the distance itself). exclude_self: queries are the rows of base, and no row is
    its own neighbour. Returns ids int64 [n, k] and distances float32 [n, k]; equal rows are at distance exactly 0.

    A float32 matrix product bounds every distance from below and above; whatever may belong to the k nearest is
    measured again in float64, so that the answer does not depend on block, threads or cancellation.
    Raises DatassayError for k outside 1..N, unequal widths, values that are not finite or norms above 3e18.
    Time O(n N d), memory O(n k + N + block (block + d)), candidates held to 128 MiB.
    """
    check_metric(metric)
    _check_shapes(queries, base, k, exclude_self)
    return _nearest(queries, base, k, metric, block, 0 if exclude_self else None)


def _nearest(
    queries: np.ndarray, base: np.ndarray, k: int, metric: Metric, block: int, own: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and distances; own: the row of base that is the first query, None where no row is to be left out."""
    from threadpoolctl import threadpool_limits

    base = _floating(base)
    ids = np.empty((len(queries), k), dtype=np.int64)
    distances = np.empty((len(queries), k), dtype=np.float32)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(thread_count()) as pool:
        search = _Search(pool, base, k, metric == "cosine", block)
        group = max(block, BUFFERS // (12 * search.capacity))
        for start in range(0, len(queries), group):
            part = slice(start, start + group)
            rows = _floating(np.ascontiguousarray(queries[part]))
            ids[part], distances[part] = search.run(rows, start, None if own is None else own + start)
            if len(queries) > group:
                logger.info("neighbours: %d/%d rows", min(start + group, len(queries)), len(queries))
    return ids, distances


def neighbors_within(points: np.ndarray, k: int, part: Part = ALL) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest other rows of every row, or all others where there are fewer: ids and Euclidean distances.

    points [n, d]. ids int64 and distances float32 [n, min(k, n - 1)], as `exact_neighbors` gives them; part: those of
    the rows of one job only.
    """
    rows = part.slice(len(points))
    own = points[rows]
    k = min(k, len(points) - 1)
    if k < 1 or not len(own):
        return np.empty((len(own), max(k, 0)), dtype=np.int64), np.empty((len(own), max(k, 0)), dtype=np.float32)
    _check_shapes(own, points, k, exclude_self=False)
    return _nearest(own, points, k, "euclidean", BLOCK, rows.start)


def thread_count() -> int:
    """Return how many threads a compiled step may use: OMP_NUM_THREADS, which every job sets, or all cores."""
    return max(1, int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))


def check_metric(metric: str) -> None:
    """Raise DatassayError for a metric that is not known."""
    if metric not in METRICS:
        raise DatassayError(f"metric '{metric}' is not known{did_you_mean(metric, METRICS)}")


def check_finite(rows: np.ndarray, first: int, name: str) -> None:
    """Raise DatassayError for the first row that holds a value that is not finite; `first` is the number of row 0."""
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        row = first + int(np.argmin(finite))
        raise DatassayError(f"{name}: row {row} holds a value that is not finite, only finite numbers are allowed")


def _check_shapes(queries: np.ndarray, base: np.ndarray, k: int, exclude_self: bool) -> None:
    if queries.ndim != 2 or base.ndim != 2 or queries.shape[1] != base.shape[1]:
        raise DatassayError(f"queries {queries.shape} and base {base.shape} must be matrices of equal width")
    if exclude_self and len(queries) != len(base):
        raise DatassayError(f"exclude_self: queries ({len(queries)} rows) must be base itself ({len(base)} rows)")
    most = len(base) - exclude_self
    if not 1 <= k <= most:
        raise DatassayError(f"k = {k} neighbours of {most} rows, allowed: 1 to {most}")


def _floating(rows: np.ndarray) -> np.ndarray:
    """Return rows in float32 or float64, a view where they are so; other types are converted whole."""
    rows = np.asarray(rows)
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float32 if rows.dtype == np.float16 else np.float64)
    rows = rows.view()
    rows.flags.writeable = False  # one and the same compiled code for arrays and memory maps
    return rows


class _Scaled(NamedTuple):
    """Rows moved to the centre or scaled to unit length [m, d], squared norms [m], inverse norms (1 if Euclidean)."""

    moved: np.ndarray
    squares: np.ndarray
    inverse: np.ndarray


class _Search:
    """The k nearest rows of one base, for one group of queries after the other."""

    def __init__(self, pool: ThreadPoolExecutor, base: np.ndarray, k: int, cosine: bool, block: int) -> None:
        self.pool, self.base, self.k, self.cosine, self.block = pool, base, k, cosine, block
        self.slack = UNIT * (base.shape[1] + 16)  # |b|^2 - 2 q.b in float32 is off by less than slack (|q|^2 + |b|^2)
        self.capacity = min(2 * k + SPARE, len(base) + 1)
        self.squares, self.inverse = np.empty(len(base)), np.empty(len(base))
        first = base[: WIDTH * block]
        # any origin serves; one amid the data keeps the norms, and with them the rounding, small
        self.centre = np.zeros(base.shape[1]) if cosine else np.asarray(first, dtype=np.float64).mean(axis=0)
        self.local = threading.local()

    def run(self, queries: np.ndarray, first: int, own: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and distances for some queries; `first` is the number of the first one, `own` its row in base."""
        from datassay.neighbors._kernels import finish

        n, k = len(queries), self.k
        scaled = self._scaled(queries, first, "queries")
        np.multiply(scaled.moved, -2, out=scaled.moved)
        ids = np.empty((n, self.capacity), dtype=np.int64)
        bounds = np.empty((n, self.capacity), dtype=np.float32)
        counts, reach = np.zeros(n, dtype=np.int64), np.full(n, np.inf, dtype=np.float32)
        given = (queries, scaled.inverse, scaled.squares, self.base, self.inverse, self.squares, self.cosine)
        arrays = (k, self.slack, *given, ids, bounds, counts, reach)
        height = min(self.block, max(16, -(-n // self.pool._max_workers)))
        told = time.monotonic()
        for left in range(0, len(self.base), WIDTH * self.block):
            self._compare(left, scaled.moved, height, -n - 1 if own is None else own, arrays)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                logger.info("neighbours of %d rows: compared with %d/%d", n, left, len(self.base))
        distances = np.empty((n, k), dtype=np.float32)
        list(self.pool.map(lambda s: finish(s, min(s + height, n), *arrays, distances), range(0, n, height)))
        return ids[:, :k], distances

    def _compare(self, left: int, moved: np.ndarray, height: int, own: int, arrays: tuple[Any, ...]) -> None:
        """Take one block of the base, from row `left`, into the buffers of all queries, `height` of them at a time."""
        from datassay.neighbors._kernels import scan

        block = slice(left, left + WIDTH * self.block)
        part, self.squares[block], self.inverse[block] = self._scaled(self.base[block], left, "base")
        offsets = (self.squares[block] * (1 - self.slack)).astype(np.float32)

        def tile(start: int) -> None:
            rows = moved[start : start + height]
            product = self._scratch(height * WIDTH * self.block)[: len(rows) * len(part)].reshape(len(rows), len(part))
            np.matmul(rows, part.T, out=product)
            scan(product, offsets, left, start, own, *arrays)

        list(self.pool.map(tile, range(0, len(moved), height)))

    def _scratch(self, size: int) -> np.ndarray:
        """Return this thread's buffer of products."""
        if getattr(self.local, "size", 0) < size:
            self.local.buffer, self.local.size = np.empty(size, dtype=np.float32), size
        return self.local.buffer

    def _scaled(self, rows: np.ndarray, first: int, name: str) -> _Scaled:
        """Return rows scaled by all threads. Raises DatassayError for a row that float32 does not hold."""
        from datassay.neighbors._kernels import scale_rows

        n, width = rows.shape
        scaled = _Scaled(np.empty((n, width), dtype=np.float32), np.empty(n), np.empty(n))
        height = max(64, -(-n // self.pool._max_workers))

        def scale(start: int) -> int:
            part = slice(start, start + height)
            bad = scale_rows(rows[part], self.centre, self.cosine, *(array[part] for array in scaled))
            return start + bad if bad >= 0 else n

        bad = min(self.pool.map(scale, range(0, n, height)), default=n)
        if bad < n:
            check_finite(rows[bad : bad + 1], first + bad, name)
            raise DatassayError(f"{name}: row {first + bad} is longer than 3e18, scale the rows down")
        return scaled
