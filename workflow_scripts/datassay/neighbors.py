"""Nearest neighbours: exact by blocked matrix products, approximate by an HNSW graph whose recall is measured."""

import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datassay.errors import DatassayError, did_you_mean
from datassay.storage import PathLike, atomic_path, load_json, save_json

logger = logging.getLogger(__name__)

Metric = Literal["cosine", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
UNIT = 2.0**-24  # rounding unit of float32
BATCH = 10_000  # vectors added to an index between two lines of progress
PIECE = 256  # rows in float64 at a time, few enough for the cache


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
    Time O(n N d), memory O(block * (8 block + k + d)) for every thread.
    """
    from threadpoolctl import threadpool_limits

    check_metric(metric)
    _check_shapes(queries, base, k, exclude_self)
    ids = np.empty((len(queries), k), dtype=np.int64)
    distances = np.empty((len(queries), k), dtype=np.float32)
    width = max(8 * block, 2 * k)
    centre = _centre(base[:width], metric)

    def search(own: np.ndarray) -> None:
        chunk, squares = _prepared(queries, own[0], own[-1] + 1, metric, centre, "queries")
        rows, found = _candidates(chunk, squares, base, k, metric, centre, width, own if exclude_self else None)
        ids[own], distances[own] = _nearest(queries[own], base, rows, found, k, metric)

    threads = min(thread_count(), max(1, len(queries) // 64))
    chunks = np.array_split(np.arange(len(queries)), max(threads, -(-len(queries) // block)))
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(search, (own for own in chunks if len(own))))
    return ids, distances


def thread_count() -> int:
    """Return how many threads a compiled step may use: OMP_NUM_THREADS, which every job sets, or all cores."""
    return max(1, int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))


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
    block, squares = np.empty((stop - start, rows.shape[1]), dtype=np.float32), np.empty(stop - start)
    for first in range(0, stop - start, PIECE):
        piece = _scaled(rows[start + first : min(start + first + PIECE, stop)], metric) - centre
        block[first : first + PIECE] = piece
        squares[first : first + PIECE] = np.einsum("ij,ij->i", piece, piece)
    _check_finite(squares[:, None], start, name)
    if metric == "cosine":
        squares[:] = 1  # of a zero row too, which puts it at distance 1 from everything
    return block, squares


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
    buffer = np.empty(len(chunk) * min(width, len(base)), dtype=np.float32)
    number = np.min_scalar_type(len(chunk))  # 16 bits are sorted fastest
    limit = np.full(len(chunk), np.inf)  # the k-th smallest upper bound so far
    rows, found, lower, upper = (np.empty(0, dtype=t) for t in (number, np.int64, np.float64, np.float64))
    for start in range(0, len(base), width):
        part, part_squares = _prepared(base, start, min(start + width, len(base)), metric, centre, "base")
        product = buffer[: len(chunk) * len(part)].reshape(len(chunk), len(part))
        np.matmul(doubled, part.T, out=product)
        product += (part_squares * (1 - slack)).astype(np.float32)
        if own is not None:
            inside = np.flatnonzero((own >= start) & (own < start + width))
            product[inside, own[inside] - start] = np.inf
        if start == 0 and part.shape[0] > k:
            bounds = product + (2 * slack * part_squares).astype(np.float32)
            bounds.partition(k - 1, axis=1)
            limit = bounds[:, k - 1] + squares * (1 + 2 * slack)
        reach = np.nextafter((limit - squares * (1 - slack)).astype(np.float32), np.float32(np.inf))
        pairs = np.flatnonzero(product < np.nextafter(reach, np.float32(np.inf))[:, None])
        row, column = np.divmod(pairs, part.shape[0])
        low = product.ravel()[pairs] + squares[row] * (1 - slack)
        high = low + 2 * slack * (squares[row] + part_squares[column])
        rows, found = np.concatenate([rows, row.astype(number)]), np.concatenate([found, column + start])
        lower, upper = np.concatenate([lower, low]), np.concatenate([upper, high])
        if len(rows) > 4 * k * len(chunk) or start + width >= len(base):
            limit = np.minimum(limit, _smallest(rows, upper, k, len(chunk)))
            keep = lower <= limit[rows]
            rows, found, lower, upper = rows[keep], found[keep], lower[keep], upper[keep]
    return rows, found


def _smallest(rows: np.ndarray, values: np.ndarray, k: int, n: int) -> np.ndarray:
    """Return the k-th smallest value of every row 0..n-1, infinity where a row has fewer."""
    order = np.argsort(values)
    order = order[np.argsort(rows[order], kind="stable")]
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
    exact = np.empty(len(rows))
    scaled = _scaled(queries, metric)
    for start in range(0, len(rows), PIECE):
        piece = slice(start, start + PIECE)
        exact[piece] = _distances(scaled[rows[piece]], _scaled(base[found[piece]], metric), metric)
    order = np.lexsort((found, exact, rows))
    counts = np.bincount(rows, minlength=len(queries))
    first = order[(np.cumsum(counts) - counts)[:, None] + np.arange(k)]
    return found[first], exact[first].astype(np.float32)


def _distances(left: np.ndarray, right: np.ndarray, metric: Metric) -> np.ndarray:
    """Distance of left[i] and right[i], scaled rows in float64, by differences: equal rows are at 0."""
    difference = left - right
    squared = np.einsum("ij,ij->i", difference, difference)
    if metric == "euclidean":
        return np.sqrt(squared)
    nothing = ~(left.any(axis=1) & right.any(axis=1))
    return np.where(nothing, 1.0, squared / 2)


@dataclass(frozen=True)
class HnswIndex:
    """Approximate neighbours by a hierarchical navigable small-world graph (Malkov & Yashunin 2018; hnswlib).

    settings: m, ef_construction, ef, metric, dimension, count and the version of hnswlib.
    """

    graph: Any
    settings: dict[str, Any]

    @classmethod
    def build(
        cls,
        vectors: np.ndarray,
        *,
        m: int = 16,
        ef_construction: int = 200,
        ef: int = 200,
        metric: Metric = "cosine",
        seed: int = 0,
        threads: int = 1,
    ) -> "HnswIndex":
        """Index the rows of vectors [N, d], which may be memory-mapped; row numbers are the ids.

        m: links per element. ef_construction, ef: candidates kept while building and while searching. One thread and
        one seed give one and the same file; more threads are faster and do not.
        Raises DatassayError for an empty or non-finite matrix. Time O(N log N), memory O(N (d + 2 m)).
        """
        check_metric(metric)
        if vectors.ndim != 2 or 0 in vectors.shape:
            raise DatassayError(f"vectors {vectors.shape}: an index needs a matrix with at least one row and column")
        count, dimension = vectors.shape
        graph = _empty_graph(metric, dimension)
        graph.init_index(max_elements=count, M=m, ef_construction=ef_construction, random_seed=seed)
        graph.set_ef(ef)
        for start in range(0, count, BATCH):
            stop = min(start + BATCH, count)
            batch = np.asarray(vectors[start:stop], dtype=np.float32)
            _check_finite(batch, start, "vectors")
            graph.add_items(batch, np.arange(start, stop), num_threads=threads)
            logger.info("index: %d/%d vectors", stop, count)
        settings: dict[str, Any] = {
            "m": m,
            "ef_construction": ef_construction,
            "ef": ef,
            "metric": metric,
            "seed": seed,
        }
        settings |= {"dimension": dimension, "count": count, "hnswlib": version("hnswlib")}
        return cls(graph, settings)

    def query(self, queries: np.ndarray, k: int, *, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return ids int64 [n, k] and distances float32 [n, k] of about the k nearest rows, nearest first, ties by row.

        Distances are of float32 accuracy, in the terms of `exact_neighbors`. Raises DatassayError for k outside
        1..count, another width, values that are not finite, or a graph that does not reach k rows.
        """
        count, dimension = self.settings["count"], self.settings["dimension"]
        if not 1 <= k <= count:
            raise DatassayError(f"k = {k} neighbours of {count} rows, allowed: 1 to {count}")
        if queries.ndim != 2 or queries.shape[1] != dimension:
            raise DatassayError(f"queries {queries.shape}: the index holds vectors of width {dimension}")
        queries = np.asarray(queries, dtype=np.float32)
        _check_finite(queries, 0, "queries")
        self.graph.set_ef(max(self.settings["ef"], k))
        try:
            ids, distances = self.graph.knn_query(queries, k=k, num_threads=threads)
        except RuntimeError as error:
            raise DatassayError(f"the index does not reach {k} rows from every query, raise m or ef") from error
        distances = np.maximum(distances, 0)
        distances = np.sqrt(distances) if self.settings["metric"] == "euclidean" else distances
        order = np.lexsort((ids, distances))
        found = np.take_along_axis(ids, order, axis=1).astype(np.int64)
        return found, np.take_along_axis(distances, order, axis=1).astype(np.float32)

    def save(self, path: PathLike, *, recall: float | None = None) -> None:
        """Write the graph to `path` (index.bin) and its settings, checksum and recall beside it (index.json)."""
        with atomic_path(path) as temporary:
            self.graph.save_index(str(temporary))
            digest = _sha256(temporary)
        save_json(Path(path).with_suffix(".json"), self.settings | {"recall": recall, "sha256": digest})

    @classmethod
    def load(cls, path: PathLike) -> "HnswIndex":
        """Read what `save` wrote. Raises DatassayError naming the file that is missing, damaged or of another build."""
        card = Path(path).with_suffix(".json")
        settings = load_json(card)
        expected = {"m", "ef_construction", "ef", "metric", "seed", "dimension", "count", "hnswlib", "recall", "sha256"}
        if not isinstance(settings, dict) or set(settings) != expected:
            raise DatassayError(f"{card}: not the card of an index, delete it and run again")
        try:
            digest = _sha256(Path(path))
        except OSError as error:
            raise DatassayError(f"{path}: cannot be read ({error.strerror})") from error
        if digest != settings["sha256"]:
            raise DatassayError(f"{path}: damaged, or not the file of {card.name}, delete both and run again")
        graph = _empty_graph(settings["metric"], settings["dimension"])
        graph.load_index(str(path), max_elements=settings["count"])
        graph.set_ef(settings["ef"])  # the file does not hold it
        return cls(graph, {name: settings[name] for name in expected - {"recall", "sha256"}})


def recall(index: HnswIndex, vectors: np.ndarray, k: int, sample: int, rng: np.random.Generator) -> float:
    """Return the share of the exact k nearest that the index finds, over `sample` rows of the indexed vectors.

    A found row counts where it is no farther than the k-th exact neighbour, so that ties cost nothing.
    """
    rows = np.sort(rng.choice(len(vectors), size=min(sample, len(vectors)), replace=False))
    metric = index.settings["metric"]
    found, _ = index.query(vectors[rows], k)
    _, exact = exact_neighbors(vectors[rows], vectors, k, metric=metric)
    hits = 0
    for row, ids, farthest in zip(rows, found, exact[:, -1], strict=True):
        distances = _distances(_scaled(vectors[[row]], metric), _scaled(vectors[ids], metric), metric)
        hits += int((distances.astype(np.float32) <= farthest).sum())
    return hits / (len(rows) * k)


def _empty_graph(metric: Metric, dimension: int) -> Any:
    import hnswlib

    return hnswlib.Index(space="cosine" if metric == "cosine" else "l2", dim=dimension)


def _check_finite(rows: np.ndarray, first: int, name: str) -> None:
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        row = first + int(np.argmin(finite))
        raise DatassayError(f"{name}: row {row} holds a value that is not finite, only finite numbers are allowed")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
