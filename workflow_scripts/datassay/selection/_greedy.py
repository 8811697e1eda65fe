"""Greedy MAP of a DPP in panels of picks, from the start or given rows that were picked before."""

from typing import NamedTuple

import numpy as np

TIE = 1e-6
CANDIDATES, PANEL = 256, 64  # sizes of the working set, which change the speed and not the picks


class Picks(NamedTuple):
    """rows [m] in the order of picking, their gains [m] (never growing), and what all rows [N] are left with.

    left: the gain of every row given the picks, -inf for the picks. factor: rows of the Cholesky factor [N, given + m].
    """

    rows: np.ndarray
    gains: np.ndarray
    left: np.ndarray
    factor: np.ndarray


def first_gains(unit: np.ndarray, quality: np.ndarray, ridge: float) -> np.ndarray:
    """Return the diagonal of L. exp(x.x - 1) of a unit row is 1 exactly; from float32 rows it would break ties."""
    return quality**2 * np.where(unit.any(axis=1), 1.0, np.exp(-1.0)) + ridge


def greedy(
    unit: np.ndarray, quality: np.ndarray, n_select: int, ridge: float, gains: np.ndarray, given: np.ndarray
) -> Picks:
    """Pick `n_select` rows greedily.

    unit: float32 [N, d]. gains: [N] at the start. given: float32 [N, k], the factor of earlier picks.

    A gain never grows, so as long as the best of some candidates beats what all other rows had at the start of the
    panel, it is the best of all. Only then is the panel over and are all rows brought up to date, in matrix products:
    O(N m (k + m + d)) time, 4 N (k + m) bytes.
    """
    weight = quality.astype(np.float32)
    done = start = given.shape[1]
    factor = np.empty((len(unit), start + n_select), np.float32)
    factor[:, :start] = given
    picks, found = np.empty(n_select, np.int64), np.empty(n_select)
    d2 = gains.copy()
    while done < start + n_select:
        order = np.argsort(-np.where(_best(d2), np.inf, d2), kind="stable")
        candidates = np.sort(order[:CANDIDATES])
        bound = d2[order[CANDIDATES]] if len(order) > CANDIDATES else -np.inf
        covariance = _conditional(unit, weight, factor[:, :done], candidates, candidates)
        chosen, root = _panel(covariance, d2[candidates], min(PANEL, start + n_select - done), bound, ridge)
        new = candidates[chosen]
        panel = slice(done - start, done - start + len(new))
        picks[panel], found[panel] = new, root.diagonal() ** 2
        columns = factor[:, done : done + len(new)]
        covariance = _conditional(unit, weight, factor[:, :done], slice(None), new)
        np.matmul(covariance, np.linalg.inv(root).T.astype(np.float32), out=columns)
        d2 -= np.einsum("ij,ij->i", columns, columns, dtype=np.float64)
        np.maximum(d2, ridge, out=d2)  # what exact arithmetic never falls below
        done += len(new)
        d2[picks[: done - start]] = -np.inf
    return Picks(picks, np.minimum.accumulate(found), d2, factor)


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
