"""Nearest candidates of labelled rows, each searched for once."""

import time

import numpy as np

from datassay.errors import DatassayError
from datassay.neighbors import HnswIndex, exact_neighbors

SPARE = 32  # neighbours found beyond twice those asked for


class NeighborLists:
    """The nearest rows of some vectors by cosine, remembered, of which those are handed out that still are candidates.

    A list holds the nearest of all rows, candidates or not: its prefix stays right while the pool shrinks, whenever it
    was searched for. One that runs short of candidates is searched for again, twice as deep.

    vectors: [N, d], may be memory-mapped (float16 is widened in memory). index: of the same rows; None searches
    exactly, O(N d) per row. Distances are measured exactly either way, so that both give the same lists where the index
    finds all.
    """

    def __init__(self, vectors: np.ndarray, index: HnswIndex | None = None) -> None:
        self.vectors, self.index = vectors, index
        if index is not None and (index.settings["count"], index.settings["metric"]) != (len(vectors), "cosine"):
            found = f"{index.settings['count']} rows by {index.settings['metric']}"
            raise DatassayError(f"index of {found}, needs one of the {len(vectors)} vectors by cosine")
        self._lists: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.searched, self.seconds = 0, 0.0  # rows, deeper searches included, and the time it took

    def nearest(self, rows: np.ndarray, k: int, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ids int64 and cosine similarities float64 [rows, min(k, candidates)], nearest first, ties by row.

        candidates: bool [N]. A row is not its own neighbour, though it were a candidate.
        """
        k = min(k, int(candidates.sum()) - int(candidates[rows].any()))
        ids, similarities = np.empty((len(rows), k), np.int64), np.empty((len(rows), k))
        pending, depth = np.arange(len(rows)), min(2 * k + SPARE, len(self.vectors))
        while k > 0 and len(pending):
            self._search(np.unique(rows[pending]), depth)
            short = []
            for place in pending:
                found, distances = self._lists[int(rows[place])]
                good = np.flatnonzero(candidates[found] & (found != rows[place]))[:k]
                if len(good) < k:
                    short.append(place)
                    continue
                ids[place], similarities[place] = found[good], 1.0 - distances[good].astype(np.float64)
            pending, depth = np.array(short, np.int64), min(2 * depth, len(self.vectors))
        return ids, similarities

    def _search(self, rows: np.ndarray, depth: int) -> None:
        """Make the lists of some rows at least `depth` long."""
        new = np.array([row for row in rows if len(self._lists.get(int(row), ((),))[0]) < depth], np.int64)
        if not len(new):
            return
        started = time.perf_counter()
        queries = np.asarray(self.vectors[new])
        if self.index is None:
            ids, distances = exact_neighbors(queries, self.vectors, depth)
            found = list(zip(ids, distances, strict=True))
        else:
            found = self._measured(queries, self.index.query(queries, depth)[0])
        self._lists |= dict(zip(new.tolist(), found, strict=True))
        self.searched += len(new)
        self.seconds += time.perf_counter() - started

    def _measured(self, queries: np.ndarray, ids: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the ids found for every query in the order, and with the distances, of the exact search."""
        every = np.unique(ids)
        order, distances = exact_neighbors(queries, np.asarray(self.vectors[every]), len(every))
        own = [np.isin(every[row], mine) for row, mine in zip(order, ids, strict=True)]
        return [(every[row][keep], far[keep]) for row, far, keep in zip(order, distances, own, strict=True)]
