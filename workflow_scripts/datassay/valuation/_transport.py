"""Entropic optimal transport by Sinkhorn's algorithm, in blocks of rows."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

logger = logging.getLogger(__name__)

MOST_CELLS = 2**26  # of a kernel that is kept: 512 MiB; a larger one is computed again in every iteration
BLOCK_CELLS = 2**22
LARGEST_LOG = 100.0  # of a scaling, before it is absorbed into the potentials

Cost = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Transport:
    """f [n], g [m]: potentials in units of cost, f of mean 0. cost: mean cost of the plan. error: of column sums."""

    f: np.ndarray
    g: np.ndarray
    cost: float
    error: float


def sinkhorn(
    cost: Cost, n: int, masses: np.ndarray, epsilon: float, *, tolerance: float = 1e-6, iterations: int = 1000
) -> Transport:
    """Transport n equal masses to given ones: min <P, C> + epsilon KL(P | rows x columns) with sums 1/n and masses [m].

    cost(start, stop) returns rows start..stop of C, float64 [stop - start, m]. epsilon: in units of cost, above 0.
    The kernel exp((f + g - C) / epsilon) is scaled from both sides in turn; scalings that grow large are absorbed into
    f and g, so that nothing under- or overflows. Ends when the column sums are off by less than `tolerance` in total,
    or after `iterations` with a warning. f is the gradient of the minimum with respect to the row sums.
    Cuturi, NIPS 2013; Schmitzer, SIAM J. Sci. Comput. 2019. Time O(n m) per iteration, memory O(n m) up to 512 MiB.
    """
    m = len(masses)
    kernel = _Kernel(cost, n, m, epsilon)
    f, g = kernel.feasible()
    kernel.absorb(f, g)
    v = np.ones(m)
    u = 1 / kernel.times(v * masses)
    error = np.inf
    for _ in range(iterations):
        columns = kernel.transposed_times(u / n)
        error = float(np.abs(v * columns - 1) @ masses)
        if error < tolerance:
            break
        v = 1 / columns
        u = 1 / kernel.times(v * masses)
        if max(np.abs(np.log(u)).max(), np.abs(np.log(v)).max()) > LARGEST_LOG:
            f, g = f + epsilon * np.log(u), g + epsilon * np.log(v)
            kernel.absorb(f, g)
            u, v = np.ones(n), np.ones(m)
    if error >= tolerance:
        logger.warning("transport: column sums are off by %.1e after %d iterations", error, iterations)
    total = sum(
        float((u[rows] / n) @ (block * cost(rows.start, rows.stop)) @ (v * masses)) for rows, block in kernel.blocks()
    )
    f, g = f + epsilon * np.log(u), g + epsilon * np.log(v)
    return Transport(f - f.mean(), g + f.mean(), total, error)


class _Kernel:
    """exp((f + g - C) / epsilon), kept where it is small enough."""

    def __init__(self, cost: Cost, n: int, m: int, epsilon: float) -> None:
        self.cost, self.epsilon = cost, epsilon
        rows = max(1, BLOCK_CELLS // m)
        self.parts = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
        self.keeps = n * m <= MOST_CELLS

    def feasible(self) -> tuple[np.ndarray, np.ndarray]:
        """Potentials with f + g <= C and an equality in every row and every column."""
        f = np.concatenate([self.cost(p.start, p.stop).min(axis=1) for p in self.parts])
        g = np.min([(self.cost(p.start, p.stop) - f[p, None]).min(axis=0) for p in self.parts], axis=0)
        f = np.concatenate([(self.cost(p.start, p.stop) - g).min(axis=1) for p in self.parts])
        return f, g

    def absorb(self, f: np.ndarray, g: np.ndarray) -> None:
        self.f, self.g = f, g
        self.kept = [self._block(part) for part in self.parts] if self.keeps else None

    def _block(self, part: slice) -> np.ndarray:
        return np.exp((self.f[part, None] + self.g - self.cost(part.start, part.stop)) / self.epsilon)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        yield from zip(self.parts, self.kept or map(self._block, self.parts), strict=True)

    def times(self, weights: np.ndarray) -> np.ndarray:
        return np.concatenate([block @ weights for _, block in self.blocks()])

    def transposed_times(self, weights: np.ndarray) -> np.ndarray:
        return np.sum([weights[rows] @ block for rows, block in self.blocks()], axis=0)
