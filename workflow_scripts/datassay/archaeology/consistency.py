"""Which rows are typical, where nobody published it: how often a model that did not see a row says its label."""

import numpy as np

from datassay.cleaning.rules import class_halves
from datassay.compute import one_thread
from datassay.errors import DatassayError
from datassay.randomness import generator

PENALTY = 0.01  # of the mean squared length of a centred row, so that no half is without a solution
BLOCK = 8192


def consistency(
    vectors: np.ndarray, labels: np.ndarray, *, splits: int = 20, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the consistency score of every row and its mean margin, float64 [n] each.

    vectors: [n, d], may be memory-mapped; labels: class numbers [n]. `splits` times (an even number of models more,
    since both halves are used) the rows are halved at random, every class as evenly as it can be; a ridge regression on
    the classes (targets -1 and 1, free intercept) is fitted on one half and asked about the other, and the other way
    round. The score is the share of the `splits` answers that are the label: an estimate of the C-score of Jiang et
    al. (ICML 2021) at half of the data, with a linear head on fixed vectors. margin: mean of the output of the label
    less the best other one, which tells rows of one score apart.

    Raises DatassayError for fewer than 2 classes or a class of one row. Time O(splits (n d^2 + d^3)), memory
    O(d^2 + n C + BLOCK d).
    """
    counts = np.bincount(labels)
    if (counts > 0).sum() < 2 or (counts == 1).any():
        lone = int(np.flatnonzero(counts == 1)[0]) if (counts == 1).any() else int(labels[0])
        raise DatassayError(f"consistency: class number {lone} has too few rows, needs 2 classes of at least 2 rows")
    right, margin = np.zeros(len(labels)), np.zeros(len(labels))
    with one_thread():
        for number in range(splits):
            halves = class_halves(labels, generator(seed, "consistency", number))
            for learnt, asked in (halves, halves[::-1]):
                weights = _fit(vectors, labels, learnt, len(counts))
                for start in range(0, len(asked), BLOCK):
                    rows = asked[start : start + BLOCK]
                    found = np.asarray(vectors[rows], dtype=np.float64) @ weights[:-1] + weights[-1]
                    own = np.take_along_axis(found, labels[rows, None], axis=1)[:, 0]
                    np.put_along_axis(found, labels[rows, None], -np.inf, axis=1)
                    gap = own - found.max(axis=1)
                    right[rows] += gap > 0
                    margin[rows] += gap
    return right / splits, margin / splits


def _fit(vectors: np.ndarray, labels: np.ndarray, rows: np.ndarray, classes: int) -> np.ndarray:
    """Return weights float64 [d + 1, C] of the ridge regression, the intercept last."""
    width = vectors.shape[1]
    gram, moment, mean = np.zeros((width, width)), np.zeros((width, classes)), np.zeros(width)
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        x = np.asarray(vectors[part], dtype=np.float64)
        gram += x.T @ x
        moment += x.T @ _targets(labels[part], classes)
        mean += x.sum(axis=0)
    mean /= len(rows)
    level = 2 * np.bincount(labels[rows], minlength=classes) / len(rows) - 1
    gram -= len(rows) * np.outer(mean, mean)
    moment -= len(rows) * np.outer(mean, level)
    gram[np.diag_indices(width)] += max(PENALTY * float(np.trace(gram)) / max(width, 1), 1e-12)
    weights = np.linalg.solve(gram, moment)
    return np.vstack([weights, level - mean @ weights])


def _targets(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
