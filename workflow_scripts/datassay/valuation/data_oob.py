"""Data-OOB: how often learners that were not fitted on an example agree with its label."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from datassay.errors import DatassayError, did_you_mean
from datassay.neighbors import thread_count
from datassay.randomness import generator
from datassay.registry import estimator
from datassay.valuation._distances import check_data, encoded

logger = logging.getLogger(__name__)

LEARNERS = ("tree", "ridge")


@estimator(version=1, source="Kwon & Zou, ICML 2023, arXiv 2304.07718")
def data_oob(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    *,
    learner: str = "tree",
    bags: int = 300,
    penalty: float = 0.01,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the bootstrap learners fitted without the example that predict its label, with its standard error.

    No valuation split is needed: valid_x and valid_y are not looked at. Values lie in [0, 1]; there is no natural
    zero, so that cleaning by them needs a share and not a threshold of 0. learner: "tree", a decision tree that sees
    the root of the number of columns at every node; "ridge", a ridge regression on the classes, closed form. bags:
    bootstrap samples; each leaves out about 37 % of the rows. penalty: of ridge, as a share of the mean variance of a
    column. Every bag has a random stream of its own, so that neither threads nor order matter. Standard error: of the
    share, over the bags that left the example out.

    Time: tree O(bags N sqrt(d) log N), ridge O(bags (N d^2 + d^3)); memory O(N d) per thread.
    Raises DatassayError for fewer than 2 rows, an unknown learner, and rows that fewer than 2 bags left out.
    """
    check_data(train_x, train_y, valid_x, valid_y, "euclidean", bags=bags)
    if learner not in LEARNERS:
        raise DatassayError(f"learner '{learner}' is not known{did_you_mean(learner, LEARNERS)}")
    if penalty <= 0:
        raise DatassayError(f"penalty = {penalty}, allowed: above 0")
    labels = encoded(train_y, valid_y)[0].astype(np.int64)
    rows = np.asarray(train_x, dtype=np.float32)
    if not np.isfinite(rows).all():
        raise DatassayError("train_x holds a value that is not finite, only finite numbers are allowed")
    right, left_out = _votes(rows, labels, learner, bags, penalty, seed)
    if left_out.min() < 2:
        few = int(np.argmin(left_out))
        raise DatassayError(
            f"data_oob: row {few} of {len(rows)} was left out by {left_out[few]} of {bags} bags, at least 2 are "
            "needed: raise bags, or value at least 2 rows"
        )
    share = right / left_out
    return share, np.sqrt(share * (1 - share) / (left_out - 1))


def _votes(
    rows: np.ndarray, labels: np.ndarray, learner: str, bags: int, penalty: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many learners left each row out and were right about it, and how many left it out, int64 [N]."""
    from threadpoolctl import threadpool_limits

    n = len(rows)

    def fit(bag: int) -> tuple[np.ndarray, np.ndarray]:
        rng = generator(seed, "data_oob", bag)
        counts = np.bincount(rng.integers(0, n, n), minlength=n)
        out = np.flatnonzero(counts == 0)
        if not len(out):
            return out, np.zeros(0, dtype=bool)
        predict = _tree if learner == "tree" else _ridge
        return out, predict(rows, labels, counts, out, penalty, rng) == labels[out]

    right, left_out = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    with threadpool_limits(1), ThreadPoolExecutor(thread_count()) as pool:
        for bag, (out, hits) in enumerate(pool.map(fit, range(bags)), 1):
            left_out[out] += 1
            right[out] += hits
            if bag % max(1, bags // 10) == 0:
                logger.info("%d/%d bags", bag, bags)
    return right, left_out


def _tree(
    rows: np.ndarray, labels: np.ndarray, counts: np.ndarray, out: np.ndarray, penalty: float, rng: np.random.Generator
) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier

    inside = np.flatnonzero(counts)
    tree = DecisionTreeClassifier(max_features="sqrt", random_state=int(rng.integers(2**31)))
    return tree.fit(rows[inside], labels[inside], sample_weight=counts[inside]).predict(rows[out])


def _ridge(
    rows: np.ndarray, labels: np.ndarray, counts: np.ndarray, out: np.ndarray, penalty: float, rng: np.random.Generator
) -> np.ndarray:
    """Classes by the highest of the ridge regressions on their indicators; the intercept is not penalised."""
    from scipy.linalg import solve

    inside = np.flatnonzero(counts)
    weights = (counts[inside] / len(rows)).astype(np.float32)[:, None]
    mean = (weights * rows[inside]).sum(axis=0)
    centred = (rows[inside] - mean) * np.sqrt(weights)
    indicators = np.eye(labels.max() + 1, dtype=np.float32)[labels[inside]]
    share = (weights * indicators).sum(axis=0)
    gram = (centred.T @ centred).astype(np.float64)
    gram[np.diag_indices_from(gram)] += penalty * max(np.trace(gram) / len(gram), np.finfo(np.float32).tiny)
    slopes = solve(gram, centred.T @ ((indicators - share) * np.sqrt(weights)), assume_a="pos")
    return ((rows[out] - mean) @ slopes + share).argmax(axis=1)
