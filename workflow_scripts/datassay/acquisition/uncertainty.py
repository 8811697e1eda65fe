"""Acquisition functions that score every candidate by itself; equal scores are taken in random order."""

import numpy as np

from datassay.errors import DatassayError
from datassay.registry import acquisition
from datassay.selection.arrays import by_score, check_rows

SUM_TOLERANCE = 1e-3


def check_probabilities(probabilities: np.ndarray, n: int) -> np.ndarray:
    """Return probabilities [m, C] as float64 if they are such, C >= 2, and n candidates can be picked."""
    p = check_rows("probabilities", probabilities, 2).astype(np.float64)
    if p.shape[1] < 2:
        raise DatassayError(f"probabilities: shape {p.shape}, needs a column per class, at least 2")
    wrong = (p.min(axis=1) < 0) | (np.abs(p.sum(axis=1) - 1) > SUM_TOLERANCE)
    if wrong.any():
        row = int(wrong.argmax())
        raise DatassayError(f"probabilities: row {row} sums to {p[row].sum():g}, needs numbers >= 0 that sum to 1")
    check_picks(n, len(p))
    return p


def check_picks(n: int, rows: int) -> None:
    """Raise DatassayError for n outside 1..rows."""
    if not 1 <= n <= rows:
        raise DatassayError(f"n: {n}, allowed: 1 to the number of candidates, {rows}")


def entropies(probabilities: np.ndarray) -> np.ndarray:
    """Return the Shannon entropy (nats) of every row of probabilities [m, C], float64 [m], with 0 log 0 = 0."""
    p = np.asarray(probabilities, dtype=np.float64)
    return 0.0 - (p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)


@acquisition(version=1, source="reference", name="random")
def at_random(candidates: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Candidates at random, all equally likely."""
    check_picks(n, len(candidates))
    return rng.choice(len(candidates), n, replace=False).astype(np.int64)


@acquisition(version=1, source="Joshi et al., CVPR 2009; Shannon 1948")
def entropy(probabilities: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Highest entropy of the predicted probabilities first.

    probabilities: [m, C], rows sum to 1. Returns int64 [n]. O(m C + m log m) time. Raises DatassayError for rows that
    are no probabilities or n outside 1..m.
    """
    return by_score(entropies(check_probabilities(probabilities, n)), rng)[:n]


@acquisition(version=1, source="Scheffer et al., IDA 2001")
def margin(probabilities: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Smallest difference between the two highest probabilities first; arguments as `entropy`."""
    best = np.sort(check_probabilities(probabilities, n), axis=1)
    return by_score(best[:, -2] - best[:, -1], rng)[:n]  # the score is minus the margin


@acquisition(version=1, source="Lewis and Gale, SIGIR 1994")
def least_confidence(probabilities: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Lowest probability of the predicted class first; arguments as `entropy`."""
    return by_score(-check_probabilities(probabilities, n).max(axis=1), rng)[:n]


@acquisition(version=1, source="Houlsby et al., 2011, arXiv 1112.5745; Gal et al., ICML 2017")
def bald(mc_logits: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Highest mutual information between prediction and model over dropout passes first.

    mc_logits: [M, m, C] of M >= 2 passes with dropout on. Raises NotApplicable with fewer passes, DatassayError for n
    outside 1..m. O(M m C) time.
    """
    from datassay.measures.uncertainty import mc_dropout_uncertainty

    check_picks(n, np.shape(mc_logits)[1])
    unlabelled = np.zeros(np.shape(mc_logits)[1], np.int64)  # the mutual information does not look at labels
    return by_score(mc_dropout_uncertainty(mc_logits, unlabelled)["mc_bald"].to_numpy(), rng)[:n]
