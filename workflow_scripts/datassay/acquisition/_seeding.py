"""k-means++ seeding (Arthur & Vassilvitskii, SODA 2007) over outer products that are never formed.

A point is g = s (outer) h, so that <g_i, g_j> = <s_i, s_j> <h_i, h_j> and a squared distance costs C + d, not C d.

Distances to the nearest seed never grow. What was measured some seeds ago is an upper bound: a row is proposed in
proportion to its bound, brought up to date, and taken with probability distance / bound. That is exactly the draw in
proportion to the distances, and only the rows that are proposed are measured. Where the bounds have become so loose
that many proposals in a row fail, all are brought up to date in matrix products.
"""

import numpy as np

CHUNK = 4096
PATIENCE = 32  # proposals that may fail in a row
ROUNDING = 1e-12  # of the squared norms: a distance below it is that of equal points


class _Points:
    """Factors s [m, C] and h [m, d], squared norms of g, and distances from rows to seeds."""

    def __init__(self, left: np.ndarray, right: np.ndarray) -> None:
        self.left, self.right = left, right
        self.squares = np.empty(len(left))
        for rows in self.chunks():
            s, h = self.factors(rows)
            self.squares[rows] = np.einsum("ij,ij->i", s, s) * np.einsum("ij,ij->i", h, h)

    def chunks(self) -> list[slice]:
        return [slice(start, start + CHUNK) for start in range(0, len(self.left), CHUNK)]

    def factors(self, rows: slice | list[int]) -> tuple[np.ndarray, np.ndarray]:
        return self.left[rows].astype(np.float64), self.right[rows].astype(np.float64)

    def squared_distances(self, rows: slice | list[int], seeds: list[int]) -> np.ndarray:
        """Return [rows], the squared distance to the nearest of some seeds, exactly 0 for a row equal to one."""
        s, h = self.factors(rows)
        seed_s, seed_h = self.factors(seeds)
        scale = self.squares[rows][:, None] + self.squares[seeds]
        distances = scale - 2 * (s @ seed_s.T) * (h @ seed_h.T)
        return np.where(distances > ROUNDING * scale, distances, 0.0).min(axis=1)


def seed_rows(
    left: np.ndarray, right: np.ndarray, n: int, rng: np.random.Generator, *, first: int | None = None
) -> np.ndarray:
    """Return n distinct rows, int64 [n], each drawn in proportion to its squared distance to the nearest before it.

    left: s [m, C], right: h [m, d]. first: the first row, by default the one of the largest norm (lowest row of ties).
    Where no row is left that differs from the seeds, the rest is drawn evenly. O(m (C + d)) time for what is measured
    at the start and at every bringing up to date, and O(n (C + d)) per proposal; O(m) memory beside the points.
    """
    points = _Points(left, right)
    seeds = [int(points.squares.argmax()) if first is None else first]
    bound = np.concatenate([points.squared_distances(rows, seeds) for rows in points.chunks()])
    known = np.ones(len(left), np.int64)  # how many seeds a bound has been measured against
    failed = 0
    while len(seeds) < n:
        bound[seeds[-1]] = 0
        cumulative = np.cumsum(bound)
        if cumulative[-1] <= 0:
            rest = np.setdiff1d(np.arange(len(left)), seeds)
            return np.concatenate([seeds, rng.choice(rest, n - len(seeds), replace=False)]).astype(np.int64)
        row = min(int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")), len(left) - 1)
        before = bound[row]
        if known[row] < len(seeds):
            bound[row] = min(before, points.squared_distances([row], seeds[known[row] :])[0])
            known[row] = len(seeds)
        if bound[row] > 0 and rng.random() * before < bound[row]:
            seeds.append(row)
            failed = 0
        elif (failed := failed + 1) >= PATIENCE:
            _bring_up_to_date(points, seeds, bound, known)
            failed = 0
    return np.array(seeds, np.int64)


def _bring_up_to_date(points: _Points, seeds: list[int], bound: np.ndarray, known: np.ndarray) -> None:
    oldest = int(known.min())
    for rows in points.chunks():
        np.minimum(bound[rows], points.squared_distances(rows, seeds[oldest:]), out=bound[rows])
    bound[seeds] = 0
    known[:] = len(seeds)
