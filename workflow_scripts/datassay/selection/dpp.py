"""Greedy MAP selection by a determinantal point process: rows that are good one by one and unlike each other."""

import hashlib
import logging
from typing import Literal

import numpy as np

from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.registry import strategy
from datassay.selection._greedy import Picks, first_gains, greedy
from datassay.selection.arrays import check_count, check_rows, unit_float32

logger = logging.getLogger(__name__)

RIDGE = 5e-4
FULL_ROWS, BLOCK_SIZE = 20_000, 1024
SHARED_PICKS, SHARED_ENTRIES = 2000, 200_000_000


def dpp_ranking(
    features: np.ndarray,
    quality: np.ndarray,
    n_select: int,
    *,
    ridge: float = RIDGE,
    full_rows: int = FULL_ROWS,
    block_size: int = BLOCK_SIZE,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return `n_select` distinct rows as int64 [n_select] that greedily maximise log det L of the picks.

    L = diag(q) S diag(q) + ridge I with S_ij = exp(x_i . x_j - 1), x the rows of `features` [N, d] scaled to unit
    length (a zero row stays 0), q = `quality` [N], finite and >= 0, used as it is. The first pick is argmax L_ii, every
    further one has the largest gain; ties go to the lowest row (gains within 1e-6 of the largest are ties: the rows
    are float32, the gains float64). Every prefix is the answer for its length.

    Up to `full_rows` rows, L is never built: with m picks O(N m (m + d)) time and 4 N (m + d) bytes, in matrix products
    on one thread, so that nothing depends on the number of threads.

    Above `full_rows` the first p = min(2,000, 2e8 / N) picks are made among all rows in that way. The rest is divided
    into k-means blocks (`rng` seeds them) of at most `block_size` = b rows, in each of which the greedy goes on given
    the p shared picks. The blocks' picks are merged by falling gain, which is the greedy for an L whose entries
    between blocks are 0 given the shared picks; equal gains take turns in proportion to the sizes of the blocks.
    O(N (p + b) (p + b + d)) time and 4 N (p + d) bytes, at most 0.8 GB of it for the shared picks, however many picks
    are asked for. Some log det is lost to what the blocks do not see of each other.

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
    from datassay.compute import one_thread

    unit = unit_float32(features)
    shared = min(SHARED_PICKS, max(1, SHARED_ENTRIES // len(unit))) if len(unit) > full_rows else n_select
    nothing = np.empty((len(unit), 0), np.float32)
    with one_thread():
        first = greedy(unit, quality, min(shared, n_select), ridge, first_gains(unit, quality, ridge), nothing)
        ranking = first.rows
        if len(ranking) < n_select:
            blocks = _split(
                unit, np.setdiff1d(np.arange(len(unit)), ranking), block_size, rng or generator(0, "dpp_ranking")
            )
            logger.info("%d shared picks, then %d blocks of up to %d rows", shared, len(blocks), block_size)
            ranking = np.concatenate([ranking, _merged(unit, quality, n_select - len(ranking), ridge, first, blocks)])
    return _lowest_twins_first(ranking, unit, quality)


def log_det(features: np.ndarray, quality: np.ndarray, picks: np.ndarray, *, ridge: float = RIDGE) -> float:
    """Return log det of L (as in `dpp_ranking`) on the picked rows [m], in float64; O(m^3) time, O(m^2) memory."""
    picked = np.asarray(features)[picks].astype(np.float64)
    norm = np.linalg.norm(picked, axis=1, keepdims=True)
    unit = picked / np.where(norm > 0, norm, 1.0)
    q = np.asarray(quality, np.float64)[picks]
    kernel = np.exp(unit @ unit.T - 1.0) * q[:, None] * q + ridge * np.eye(len(q))
    return float(np.linalg.slogdet(kernel)[1])


@strategy(version=2, source="Kim et al., ACL 2023, arXiv 2305.19344; Chen, Zhang, Zhou, NeurIPS 2018")
def infoverse_dpp(
    infoverse: np.ndarray,
    labels: np.ndarray,
    n_select: int,
    rng: np.random.Generator,
    *,
    quality: Literal["density", "inverse", "uniform"] = "density",
    full_rows: int = FULL_ROWS,
    block_size: int = BLOCK_SIZE,
) -> np.ndarray:
    """Informative and diverse rows: greedy MAP of a DPP on the z-scored meta-information.

    infoverse: [N, m] z-scored columns. quality: `density` (dense first), `inverse` (sparse first) or `uniform`, from
    the distance to the 5th nearest neighbour of the same class (regression: of all rows). Returns the first n_select
    rows of the ranking.
    """
    from datassay.measures.infoverse import quality as infoverse_quality

    classes = np.zeros(len(labels), np.int64) if labels.dtype.kind == "f" else labels
    weights = infoverse_quality(infoverse, classes, quality)
    return dpp_ranking(infoverse, weights, n_select, full_rows=full_rows, block_size=block_size, rng=rng)


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


def _merged(
    unit: np.ndarray, quality: np.ndarray, n_select: int, ridge: float, first: Picks, blocks: list[np.ndarray]
) -> np.ndarray:
    """Return the next `n_select` rows: the greedy inside every block given the shared picks, merged by gain."""
    rows, gains, turns = [], [], []
    for block in blocks:
        inside = greedy(
            unit[block], quality[block], min(len(block), n_select), ridge, first.left[block], first.factor[block]
        )
        rows.append(block[inside.rows])
        gains.append(inside.gains)
        turns.append((np.arange(len(inside.rows)) + 0.5) / len(block))
    order = np.lexsort((np.concatenate(turns), -np.concatenate(gains)))
    return np.concatenate(rows)[order[:n_select]]


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
