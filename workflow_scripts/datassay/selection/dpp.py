"""Greedy MAP selection by a determinantal point process: rows that are good one by one and unlike each other."""

import hashlib
import logging
from typing import Literal

import numpy as np

from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.registry import strategy
from datassay.selection.arrays import check_count, check_rows, unit_float32

logger = logging.getLogger(__name__)

RIDGE = 5e-4
BLOCK_SIZE = 20_000
TIE = 1e-6
CANDIDATES, PANEL = 256, 64  # sizes of the working set, which change the speed and not the picks


def dpp_ranking(
    features: np.ndarray,
    quality: np.ndarray,
    n_select: int,
    *,
    ridge: float = RIDGE,
    block_size: int = BLOCK_SIZE,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return `n_select` distinct rows as int64 [n_select] that greedily maximise log det L of the picks.

    L = diag(q) S diag(q) + ridge I with S_ij = exp(x_i . x_j - 1), x the rows of `features` [N, d] scaled to unit
    length (a zero row stays 0), q = `quality` [N], finite and >= 0, used as it is. The first pick is argmax L_ii, every
    further one has the largest gain; ties go to the lowest row (gains within 1e-6 of the largest are ties: the rows
    are float32, the gains float64). Every prefix is the answer for its length.

    Above `block_size` rows the greedy runs in k-means blocks (`rng` seeds them) of at most that size. The blocks are
    interleaved by (position + 1/2) / size of block, so that every prefix divides among the blocks in proportion to
    their sizes (Sainte-Lague apportionment, within one row); some log det is lost at the borders.

    L is never built: with m picks O(N m (m + d)) time and 4 N (m + d) bytes (N: rows of a block), in matrix products
    on one thread, so that nothing depends on the number of threads.

    Raises DatassayError for n_select outside 1..N, arrays that are not finite or of unequal length, ridge <= 0.
    Source: Chen, Zhang, Zhou, NeurIPS 2018, algorithm 1; kernel of Kim et al., ACL 2023 (infoVerse).
    """
    features = check_rows("features", features, 2)
    quality = check_rows("quality", quality, 1, len(features)).astype(np.float64)
    n_select = check_count(n_select, len(features))
    if quality.min() < 0:
        raise DatassayError(f"quality: row {int(quality.argmin())} is {quality.min():g}, needs values >= 0")
    if ridge <= 0 or block_size < 1:
        raise DatassayError(f"ridge {ridge:g}, block_size {block_size}: both must be positive")
    unit = unit_float32(features)
    if len(unit) <= block_size:
        return _greedy(unit, quality, n_select, ridge)
    return _blockwise(unit, quality, n_select, ridge, block_size, rng or generator(0, "dpp_ranking"))


def log_det(features: np.ndarray, quality: np.ndarray, picks: np.ndarray, *, ridge: float = RIDGE) -> float:
    """Return log det of L (as in `dpp_ranking`) on the picked rows [m], in float64; O(m^3) time, O(m^2) memory."""
    picked = np.asarray(features)[picks].astype(np.float64)
    norm = np.linalg.norm(picked, axis=1, keepdims=True)
    unit = picked / np.where(norm > 0, norm, 1.0)
    q = np.asarray(quality, np.float64)[picks]
    kernel = np.exp(unit @ unit.T - 1.0) * q[:, None] * q + ridge * np.eye(len(q))
    return float(np.linalg.slogdet(kernel)[1])


@strategy(version=1, source="Kim et al., ACL 2023, arXiv 2305.19344; Chen, Zhang, Zhou, NeurIPS 2018")
def infoverse_dpp(
    infoverse: np.ndarray,
    labels: np.ndarray,
    n_select: int,
    rng: np.random.Generator,
    *,
    quality: Literal["density", "inverse", "uniform"] = "density",
    block_size: int = BLOCK_SIZE,
) -> np.ndarray:
    """Informative and diverse rows: greedy MAP of a DPP on the z-scored meta-information.

    infoverse: [N, m] z-scored columns. quality: `density` (dense first), `inverse` (sparse first) or `uniform`, from
    the distance to the 5th nearest neighbour of the same class. Returns the first n_select rows of the ranking.
    """
    from datassay.measures.infoverse import quality as infoverse_quality

    weights = infoverse_quality(infoverse, labels, quality)
    return dpp_ranking(infoverse, weights, n_select, block_size=block_size, rng=rng)


def _greedy(unit: np.ndarray, quality: np.ndarray, n_select: int, ridge: float) -> np.ndarray:
    """Greedy MAP in panels of picks. d2 [N] is the gain of every row, factor [N, m] the incremental Cholesky factor.

    A gain never grows, so as long as the best of some candidates beats what all other rows had at the start of the
    panel, it is the best of all. Only then is the panel over and are all rows brought up to date, in matrix products.
    """
    from datassay.compute import one_thread

    weight = quality.astype(np.float32)
    factor = np.empty((len(unit), n_select), np.float32)
    picks = np.empty(n_select, np.int64)
    # exp(x.x - 1) of a unit row is 1 exactly; taken from float32 rows it would break ties by rounding.
    d2 = quality**2 * np.where(unit.any(axis=1), 1.0, np.exp(-1.0)) + ridge
    done = 0
    with one_thread():
        while done < n_select:
            order = np.argsort(-np.where(_best(d2), np.inf, d2), kind="stable")
            candidates = np.sort(order[:CANDIDATES])
            bound = d2[order[CANDIDATES]] if len(order) > CANDIDATES else -np.inf
            covariance = _conditional(unit, weight, factor[:, :done], candidates, candidates)
            chosen, root = _panel(covariance, d2[candidates], min(PANEL, n_select - done), bound, ridge)
            new = candidates[chosen]
            panel = slice(done, done + len(new))
            picks[panel] = new
            covariance = _conditional(unit, weight, factor[:, :done], slice(None), new)
            np.matmul(covariance, np.linalg.inv(root).T.astype(np.float32), out=factor[:, panel])
            d2 -= np.einsum("ij,ij->i", factor[:, panel], factor[:, panel], dtype=np.float64)
            np.maximum(d2, ridge, out=d2)  # what exact arithmetic never falls below
            done += len(new)
            d2[picks[:done]] = -np.inf
    return _lowest_twins_first(picks, unit, quality)


def _lowest_twins_first(picks: np.ndarray, unit: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Let equal rows of equal quality change places so that the lower comes first.

    They tie exactly, but matrix products round them differently by their position. (+ 0.0: -0 equals 0.)
    """
    members: dict[bytes, list[int]] = {}
    group_of = [
        members.setdefault(hashlib.blake2b((row + 0.0).tobytes() + q.tobytes(), digest_size=16).digest(), [])
        for row, q in zip(unit, quality, strict=True)
    ]
    for row, group in enumerate(group_of):
        group.append(row)
    following = {id(group): iter(group) for group in members.values()}
    return np.array([next(following[id(group_of[row])]) for row in picks], np.int64)


def _best(d2: np.ndarray) -> np.ndarray:
    """Return which gains are the highest, bool [N]: float32 rows cannot tell apart what differs by less."""
    return d2 >= d2.max() * (1 - TIE)


def _conditional(
    unit: np.ndarray, weight: np.ndarray, factor: np.ndarray, rows: np.ndarray | slice, columns: np.ndarray
) -> np.ndarray:
    """Return the kernel (without ridge) between rows and columns, given the picks in `factor`."""
    kernel = unit[rows] @ unit[columns].T
    kernel -= 1
    np.exp(kernel, out=kernel)
    kernel *= weight[rows, None]
    kernel *= weight[columns]
    kernel -= factor[rows] @ factor[columns].T
    return kernel


def _panel(
    covariance: np.ndarray, d2: np.ndarray, n_select: int, bound: float, ridge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pick greedily among candidates while their gain d2 is above `bound` (at least once, at most n_select times).

    covariance: [T, T], d2: [T]. Returns the p positions picked and their lower Cholesky factor [p, p].
    """
    covariance = covariance.astype(np.float64)
    chosen: list[int] = []
    columns: list[np.ndarray] = []
    while len(chosen) < n_select:
        if chosen and d2.max() * (1 - TIE) <= bound:
            break
        pick = int(_best(d2).argmax())
        column = covariance[pick] / np.sqrt(d2[pick])
        column[pick] = np.sqrt(d2[pick])
        covariance -= column[:, None] * column
        d2 = np.maximum(d2 - column**2, ridge)
        chosen.append(pick)
        columns.append(column)
        d2[chosen] = -np.inf
    return np.array(chosen), np.tril(np.stack(columns, axis=1)[chosen])


def _blockwise(
    unit: np.ndarray, quality: np.ndarray, n_select: int, ridge: float, block_size: int, rng: np.random.Generator
) -> np.ndarray:
    blocks = _split(unit, np.arange(len(unit)), block_size, rng)
    sizes = np.array([len(rows) for rows in blocks])
    block_of = np.repeat(np.arange(len(blocks)), sizes)
    position = np.concatenate([np.arange(size) for size in sizes])
    turns = block_of[np.lexsort((block_of, (position + 0.5) / sizes[block_of]))[:n_select]]
    ranking = np.empty(n_select, np.int64)
    for b, rows in enumerate(blocks):
        quota = int((turns == b).sum())
        logger.info("block %d/%d: %d of %d rows", b + 1, len(blocks), quota, len(rows))
        if quota:
            ranking[turns == b] = rows[_greedy(unit[rows], quality[rows], quota, ridge)]
    return ranking


def _split(unit: np.ndarray, rows: np.ndarray, block_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Divide rows by k-means until no block is above the size; rows that k-means cannot tell apart go in file order."""
    if len(rows) <= block_size:
        return [rows]
    from datassay.selection._clustering import kmeans

    n_blocks = -(-len(rows) // block_size)
    cell, _ = kmeans(unit[rows], n_blocks, rng)
    parts = [rows[cell == c] for c in np.unique(cell)]
    if len(parts) == 1:
        return np.array_split(rows, n_blocks)
    return [block for part in parts for block in _split(unit, part, block_size, rng)]
