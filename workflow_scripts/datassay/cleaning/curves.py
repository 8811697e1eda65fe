"""What a classifier loses or gains as examples are removed or added by a value or a measure."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from datassay.cleaning.nearest import knn_accuracies
from datassay.randomness import generator

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Split = tuple[np.ndarray, np.ndarray]
Utility = Literal["knn", "ridge"]
ORDERS = ("suspicious_first", "trusted_first")
RANDOM = "random_orders"  # no estimator has this name; `random` is one
PENALTY = 0.01
HALF = 0.5
COLUMNS = ("detector", "order", "removed", "n_kept", "utility", "accuracy")


def removal_curves(
    scores: Mapping[str, np.ndarray],
    train: Split,
    test: Split,
    *,
    utilities: Sequence[Utility] = ("knn", "ridge"),
    steps: int = 20,
    random_orders: int = 5,
    k: int = 10,
    seed: int = 0,
) -> "pd.DataFrame":
    """Return test accuracy as train rows are removed in the order of every detector, from either end.

    scores: detector -> [n], low = suspicious; equal scores in random order. train, test: (vectors, class numbers).
    utilities: "knn", the k nearest by Euclidean distance; "ridge", a ridge regression on the classes (intercept free,
    penalty 1 % of the mean variance of a column). Shares removed: 0, 1/steps, ..., (steps - 1)/steps;
    one row is always left.

    Returns detector (random_orders: the mean over so many), order (suspicious_first, trusted_first; for random
    they are one and stand twice), removed, n_kept, utility, accuracy. Adding the trusted rows first up to a share is
    the same set as removing the suspicious ones down to it, so that one curve holds both; `areas` reads them apart.
    No rows where no test row is labelled.
    Time O(T n (d + log n)) once; per detector knn O(steps T k), ridge O(n d^2 + steps (d^3 + T d)).
    """
    import pandas as pd

    if not len(test[1]):
        logger.warning("no labelled test rows, so that there is no accuracy to follow")
        return pd.DataFrame(columns=list(COLUMNS))
    n = len(train[1])
    removed = np.minimum(np.round(np.arange(steps) / steps * n).astype(int), n - 1)
    rankings = {(name, ORDERS[0]): _ranking(score, generator(seed, "curve ties")) for name, score in scores.items()}
    rankings |= {(name, ORDERS[1]): order[::-1] for (name, _), order in rankings.items()}
    rankings |= {(RANDOM, str(i)): generator(seed, "random order", i).permutation(n) for i in range(random_orders)}
    frames = []
    for utility in utilities:
        accuracies_of = _knn_accuracies if utility == "knn" else _ridge_accuracies
        accuracies = dict(zip(rankings, accuracies_of(list(rankings.values()), removed, train, test, k), strict=True))
        controls = [accuracies.pop((RANDOM, str(i))) for i in range(random_orders)]
        if controls:
            accuracies |= dict.fromkeys([(RANDOM, order) for order in ORDERS], np.mean(controls, axis=0))
        for (detector, order), accuracy in accuracies.items():
            about = {"detector": detector, "order": order, "removed": removed / n, "n_kept": n - removed}
            frames.append(pd.DataFrame({**about, "utility": utility, "accuracy": accuracy}))
    return pd.concat(frames, ignore_index=True)


def areas(curves: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per detector and utility: the mean accuracy over four stretches of its curves.

    remove_suspicious, remove_trusted: while the first half of the rows is removed from that end; add_trusted,
    add_suspicious: while the first half of the rows is added from that end. Trapezoidal rule over shares of rows. High
    is good for remove_suspicious and add_trusted, low for the other two.
    """
    import pandas as pd

    rows = []
    for (detector, utility), group in curves.groupby(["detector", "utility"], sort=False):
        found: dict[str, object] = {"detector": detector, "utility": utility}
        for order, removing, adding in zip(
            ORDERS, ("remove_suspicious", "remove_trusted"), ("add_trusted", "add_suspicious"), strict=True
        ):
            curve = group[group["order"] == order].sort_values("removed")
            share, accuracy = curve["removed"].to_numpy(), curve["accuracy"].to_numpy()
            found[removing] = _mean_height(share, accuracy, share <= HALF)
            found[adding] = _mean_height(share, accuracy, share >= HALF)
        rows.append(found)
    return pd.DataFrame(rows)


def _mean_height(x: np.ndarray, y: np.ndarray, part: np.ndarray) -> float:
    if part.sum() < 2:
        return float(y[part].mean()) if part.any() else float("nan")
    return float(np.trapezoid(y[part], x[part]) / (x[part][-1] - x[part][0]))


def _ranking(score: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.lexsort((rng.permutation(len(score)), score))


def _knn_accuracies(
    rankings: Sequence[np.ndarray], removed: np.ndarray, train: Split, test: Split, k: int
) -> np.ndarray:
    """Accuracies [rankings, steps] of the K-NN classifier on what is left after each number of removals."""
    n = len(train[1])
    keep = np.empty((len(rankings), len(removed), n), dtype=bool)
    place = np.empty(n, dtype=np.int64)
    for own, order in zip(keep, rankings, strict=True):
        place[order] = np.arange(n)
        own[:] = place >= removed[:, None]
    return knn_accuracies(*train, *test, keep.reshape(-1, n), k).reshape(keep.shape[:2])


def _ridge_accuracies(
    rankings: Sequence[np.ndarray], removed: np.ndarray, train: Split, test: Split, k: int
) -> np.ndarray:
    """The same of a ridge regression; moments are added up from the row that is kept longest."""
    from datassay.compute import one_thread

    classes = int(max(train[1].max(), test[1].max())) + 1
    centre = np.asarray(test[0], dtype=np.float64).mean(axis=0)
    rows, points = (np.asarray(x, dtype=np.float64) - centre for x in (train[0], test[0]))
    indicators = np.eye(classes)[train[1]]
    found = np.empty((len(rankings), len(removed)))
    with one_thread():
        for own, order in zip(found, rankings, strict=True):
            own[:] = _ridge_path(rows, indicators, points, test[1], order, removed)
    return found


def _ridge_path(
    rows: np.ndarray,
    indicators: np.ndarray,
    points: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    removed: np.ndarray,
) -> np.ndarray:
    from scipy.linalg import solve

    d, count = rows.shape[1], 0
    both = np.zeros((d, d))
    cross, total, shares = np.zeros((d, indicators.shape[1])), np.zeros(d), np.zeros(indicators.shape[1])
    accuracies = np.empty(len(removed))
    for step in range(len(removed) - 1, -1, -1):
        own = order[removed[step] : removed[step + 1] if step + 1 < len(removed) else None]
        both += rows[own].T @ rows[own]
        cross += rows[own].T @ indicators[own]
        total, shares, count = total + rows[own].sum(axis=0), shares + indicators[own].sum(axis=0), count + len(own)
        mean, share = total / count, shares / count
        covariance = both / count - np.outer(mean, mean)
        covariance[np.diag_indices(d)] += PENALTY * max(np.trace(covariance) / d, np.finfo(np.float64).eps)
        slopes = solve(covariance, cross / count - np.outer(mean, share), assume_a="pos")
        accuracies[step] = (((points - mean) @ slopes + share).argmax(axis=1) == labels).mean()
    return accuracies
