"""Approximate neighbours by an HNSW graph whose recall is measured."""

import hashlib
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from datassay.errors import DatassayError
from datassay.neighbors.exact import Metric, check_finite, check_metric, exact_neighbors
from datassay.storage import PathLike, atomic_path, load_json, save_json

logger = logging.getLogger(__name__)

BATCH = 10_000  # vectors added to an index between two lines of progress


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
            check_finite(batch, start, "vectors")
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
        check_finite(queries, 0, "queries")
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
        hits += int((_distances(vectors[row], vectors[ids], metric).astype(np.float32) <= farthest).sum())
    return hits / (len(rows) * k)


def _distances(row: np.ndarray, others: np.ndarray, metric: Metric) -> np.ndarray:
    """Return the distances of one row to others in float64, by differences as in `exact_neighbors`."""
    rows = np.concatenate([row[None], others]).astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    if metric == "cosine":
        rows /= np.where(norms == 0, 1, norms)[:, None]
    squared = ((rows[1:] - rows[0]) ** 2).sum(axis=1)
    if metric == "euclidean":
        return np.sqrt(squared)
    return np.where((norms[1:] == 0) | (norms[0] == 0), 1.0, squared / 2)


def _empty_graph(metric: Metric, dimension: int) -> Any:
    import hnswlib

    return hnswlib.Index(space="cosine" if metric == "cosine" else "l2", dim=dimension)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
