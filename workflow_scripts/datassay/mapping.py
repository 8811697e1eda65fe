"""Maps: two coordinates per example by t-SNE (van der Maaten and Hinton, JMLR 2008), on neighbours that are given."""

import logging
from collections.abc import Callable
from time import monotonic

import numpy as np

from datassay.errors import DatassayError
from datassay.neighbors import neighbors_within, thread_count
from datassay.randomness import generator

logger = logging.getLogger(__name__)

FEWEST = 8  # rows; fewer are laid out by their principal components
PIECE = 4096  # rows turned to float64 at a time
START = 1e-4  # standard deviation of the first coordinate before the first step
QUIET = 10  # seconds between two lines about the steps
COARSE = 2  # width of the grid's cells in the first two thirds of the steps, in units of the map; 1 in the last third


def lay_out(
    points: np.ndarray,
    neighbors: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    perplexity: float = 30,
    iterations: int = 750,
    seed: int = 0,
) -> np.ndarray:
    """Return coordinates [n, 2] float32, near each other where rows of points [n, d] are near each other.

    neighbors: ids and Euclidean distances [n, m] of the nearest other rows, nearest first, at least 3 * perplexity of
    them (or all others); searched for where not given. perplexity: falls to a third of the neighbours that there are.
    iterations: steps of the gradient, the first third of them with clusters pulled together. seed: of the shift by 1 %
    of the spread that parts equal rows at the start.

    From 10,000 rows the gradient interpolates on a grid, coarse in the first two thirds of the steps: on 10,000 x 384 a
    third less time for a divergence 1.5 % above that of a fine grid throughout (1.858, 1.830; coarse to the end 1.941).

    The start are the first two principal components, so that the large distances mean something; signs are fixed. Fewer
    than 8 rows keep them as their coordinates. Below 10,000 rows the gradient sums over a tree (Barnes-Hut), else it
    interpolates (Linderman et al., Nature Methods 2019; openTSNE, Policar et al., JSS 2024): time O(n d^2 + n k
    iterations), memory O(n k). One seed and one number of threads give the same coordinates. Raises DatassayError for
    values that are not finite or too few neighbours.
    """
    if points.ndim != 2 or not len(points):
        raise DatassayError(f"points: shape {points.shape}, expected a matrix with at least one row")
    rows = len(points)
    start = _principal_components(points)
    if rows < FEWEST:
        return start.astype(np.float32)
    wanted = min(int(3 * perplexity), rows - 1)
    ids, distances = neighbors if neighbors is not None else neighbors_within(points, wanted)
    if len(ids) != rows or ids.shape[1] < wanted:
        raise DatassayError(f"neighbours of shape {ids.shape}, expected {rows} rows with at least {wanted}")
    return _tsne(ids[:, :wanted], distances[:, :wanted], start, min(perplexity, wanted / 3), iterations, seed)


def _tsne(
    ids: np.ndarray, distances: np.ndarray, start: np.ndarray, perplexity: float, iterations: int, seed: int
) -> np.ndarray:
    """Move `start` [n, 2] by the gradient of t-SNE on a graph of neighbours."""
    from openTSNE import TSNE, affinity
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    threads, early = thread_count(), iterations // 3
    spread = start[:, 0].std()
    shifts = generator(seed, "map").standard_normal(start.shape) * START / 100
    start = shifts * 100 if spread == 0 else start * (START / spread) + shifts

    told = monotonic()

    def progress(first: int) -> Callable[[int, float, object], bool]:
        def tell(iteration: int, divergence: float, _: object) -> bool:
            nonlocal told
            if first + iteration < iterations and monotonic() - told >= QUIET:
                told = monotonic()
                _tell(first + iteration, iterations, divergence)
            return False

        return tell

    graph = PrecomputedNeighbors(np.ascontiguousarray(ids), np.ascontiguousarray(distances))
    affinities = affinity.PerplexityBasedNN(perplexity=perplexity, knn_index=graph, n_jobs=threads)
    logger.info("map: %d rows, %d neighbours each, perplexity %.3g", len(ids), ids.shape[1], perplexity)
    model = TSNE(n_jobs=threads, callbacks_every_iters=50)
    layout = model.prepare_initial(affinities=affinities, initialization=start)
    coarse = {"ints_in_interval": COARSE, "inplace": True}
    layout.optimize(early, exaggeration=12, momentum=0.5, callbacks=progress(0), **coarse)
    layout.optimize(early, momentum=0.8, callbacks=progress(early), **coarse)
    layout.optimize(iterations - 2 * early, momentum=0.8, inplace=True, callbacks=progress(2 * early))
    _tell(iterations, iterations, layout.kl_divergence)
    return np.asarray(layout, dtype=np.float32)


def _tell(step: int, steps: int, divergence: float) -> None:
    logger.info("map: %d/%d steps, divergence %.3f", step, steps, divergence)


def _principal_components(points: np.ndarray) -> np.ndarray:
    """Return the first two principal components of every row, float64 [n, 2]; the largest entry of an axis is positive.

    Components that do not exist, or hold nothing but rounding, are 0.
    """
    from datassay.compute import one_thread

    pieces = [slice(first, first + PIECE) for first in range(0, len(points), PIECE)]
    with one_thread():
        mean = np.asarray(sum(np.asarray(points[p], dtype=np.float64).sum(axis=0) for p in pieces)) / len(points)
        gram = np.zeros((points.shape[1], points.shape[1]))
        for piece in pieces:
            centred = points[piece] - mean
            gram += centred.T @ centred
        if not np.isfinite(gram).all():
            raise DatassayError("points: a value is not finite, only finite numbers are allowed")
        variances, axes = np.linalg.eigh(gram)
        axes = axes[:, ::-1][:, :2] * (variances[::-1][:2] > 1e-20 * max(variances[-1], 1e-300))
        axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])] < 0, -1, 1)
        found = np.zeros((len(points), 2))
        for piece in pieces:
            found[piece, : axes.shape[1]] = (points[piece] - mean) @ axes
    return found
