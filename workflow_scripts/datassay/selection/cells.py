"""Strategies on k-means cells of the encoder embedding: far from the prototypes first, near duplicates last."""

import numpy as np

from datassay.errors import DatassayError
from datassay.registry import strategy
from datassay.selection.arrays import CHUNK, by_score, check_rows, unit_float32

BLOCK = 512
REGRESSION_CELLS = 10


@strategy(version=1, source="Sorscher et al., NeurIPS 2022, arXiv 2206.14486")
def prototypes(
    embeddings: np.ndarray, labels: np.ndarray, rng: np.random.Generator, *, n_clusters: int = 0
) -> np.ndarray:
    """Farthest from the nearest k-means centre of the embedding first.

    n_clusters: 0 means as many as there are classes; 10 for a regression. Raises DatassayError where it is negative.
    """
    embeddings = check_rows("embeddings", embeddings, 2)
    if n_clusters < 0:
        raise DatassayError(f"prototypes: n_clusters {n_clusters}, allowed: 0 (as many as classes) or more")
    from datassay.selection._clustering import kmeans

    classes = REGRESSION_CELLS if labels.dtype.kind == "f" else len(np.unique(labels))
    cell, centres = kmeans(embeddings, n_clusters or classes, rng)
    distance = np.empty(len(embeddings))
    for start in range(0, len(embeddings), CHUNK):
        rows = slice(start, start + CHUNK)
        distance[rows] = np.linalg.norm(embeddings[rows] - centres[cell[rows]].astype(np.float64), axis=1)
    return by_score(distance, rng)


@strategy(version=1, source="Abbas et al., 2023, arXiv 2303.09540 (SemDeDup)")
def semdedup(embeddings: np.ndarray, rng: np.random.Generator, *, cell_size: int = 1000) -> np.ndarray:
    """Least similar to any row kept before it in its k-means cell first, so that near duplicates are dropped first.

    The rows of a cell are taken from the farthest to the nearest to its centre (equal ones in random order); the score
    of a row is its highest cosine with one before it. Ranking by rising score gives, at any threshold, the set that
    SemDeDup keeps. cell_size: mean number of rows of a cell.
    O(N cell_size d) time and O(cell_size) memory beside the rows. Raises DatassayError for cell_size < 1.
    """
    unit = unit_float32(check_rows("embeddings", embeddings, 2))
    if cell_size < 1:
        raise DatassayError(f"semdedup: cell_size {cell_size}, allowed: 1 or more")
    from datassay.compute import one_thread
    from datassay.selection._clustering import kmeans

    cell, centres = kmeans(unit, -(-len(unit) // cell_size), rng)
    highest = np.empty(len(unit))
    with one_thread():
        for c in np.unique(cell):
            rows = np.flatnonzero(cell == c)
            rows = rows[by_score(-(unit[rows] @ centres[c]), rng)]
            highest[rows] = _highest_cosine_before(unit[rows])
    return by_score(-highest, rng)


def _highest_cosine_before(unit: np.ndarray) -> np.ndarray:
    """Return for every row the highest cosine with an earlier one, float64 [n]; -1 for the first."""
    highest = np.full(len(unit), -1.0)
    for start in range(0, len(unit), BLOCK):
        stop = min(start + BLOCK, len(unit))
        cosine = unit[start:stop] @ unit[:stop].T
        cosine[np.arange(stop)[None, :] >= np.arange(start, stop)[:, None]] = -1.0
        highest[start:stop] = cosine.max(axis=1)
    return highest
