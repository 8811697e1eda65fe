"""How crowded the surroundings of a point are: by nearest neighbours and by Gaussian models."""

import numpy as np

from datassay.compute import one_thread
from datassay.neighbors import exact_neighbors


def kth_distance(points: np.ndarray, k: int) -> np.ndarray:
    """Return the Euclidean distance of every point to its k-th nearest other point, the farthest if there are fewer.

    points: [n, d] with n >= 2. float64 [n]; exactly 0 for a point with k equals. Time O(n^2 d), memory O(block).
    """
    k = min(k, len(points) - 1)
    _, distances = exact_neighbors(points, points, k, metric="euclidean", exclude_self=True)
    return distances[:, -1].astype(np.float64)


def kth_distance_in_class(points: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Return the distance of every point to its k-th nearest other point of the same class.

    A point that is alone in its class has no such neighbour: its k-th nearest of any class stands in, and 0 if it is
    the only point of all. float64 [n].
    """
    distances = np.zeros(len(points))
    lonely = np.zeros(len(points), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) > 1:
            distances[members] = kth_distance(points[members], k)
        else:
            lonely[members] = True
    if lonely.any() and len(points) > 1:
        # one more than asked for, as each lonely point meets itself at distance 0
        nearest = min(k + 1, len(points))
        distances[lonely] = exact_neighbors(points[lonely], points, nearest, metric="euclidean")[1][:, -1]
    return distances


def relative_density(points: np.ndarray, labels: np.ndarray, *, rank_in_others: int = 1) -> np.ndarray:
    """Return the mean distance to the nearest point of every other class minus that to the nearest of the own class.

    rank_in_others: which neighbour in the other classes, 1 the nearest (the farthest there is if a class has fewer).
    Classes without points do not count. A point alone in its class gets 0: nothing speaks for or against it.
    points: [n, d] of at least two classes. float64 [n]. Time O(n^2 d), memory O(n + block).
    """
    n = len(points)
    classes, counts = np.unique(labels, return_counts=True)
    own, others = np.zeros(n), np.zeros(n)
    for label, count in zip(classes, counts, strict=True):
        mine = labels == label
        members = points[mine]
        rank = min(rank_in_others, count)
        others[~mine] += exact_neighbors(points[~mine], members, rank, metric="euclidean")[1][:, -1]
        if count > 1:
            own[mine] = kth_distance(members, 1)
    density = others / (len(classes) - 1) - own
    density[np.isin(labels, classes[counts == 1])] = 0.0
    return density


def gaussian_log_density(points: np.ndarray, ridge: float = 1e-5) -> np.ndarray:
    """Return the log-density (nats) of every point under one Gaussian fitted to all, covariance + ridge I.

    Time O(n d^2 + d^3), memory O(n d).
    """
    with one_thread():
        centred, variances, axes = _principal_axes(points)
        projected = centred @ axes
        return _log_normal(projected * projected, variances + ridge)


def ppca_log_likelihood(features: np.ndarray, variance: float = 0.99) -> np.ndarray:
    """Return the log-likelihood of every row under a probabilistic PCA fitted to all rows, per feature (nats).

    The model keeps the fewest principal axes that hold the share `variance` of the variance and spreads the rest
    evenly over the other directions (maximum likelihood, Tipping & Bishop 1999, eq. 7 and 8). Where nothing is left
    over, a noise of 1e-6 of the mean variance keeps the density finite. The mean over the d features is returned, as
    the likelihood of a text is a mean over its tokens; multiply by d for the density of the whole row.

    features: [n, d] finite. float64 [n]. Time O(n d^2 + d^3), memory O(n d).
    """
    with one_thread():
        centred, variances, axes = _principal_axes(features)
        total = variances.sum()
        kept = int(np.searchsorted(np.cumsum(variances), variance * total)) + 1 if total > 0 else 0
        rest = variances[kept:]
        floor = 1e-6 * variances.mean() or 1.0
        model = variances.copy()
        model[kept:] = max(rest.mean(), floor) if rest.size else floor
        projected = centred @ axes
        return _log_normal(projected * projected, np.maximum(model, floor)) / features.shape[1]


def _principal_axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the centred points, the variance along every principal axis, largest first, and the axes as columns."""
    points = np.asarray(points, dtype=np.float64)
    centred = points - points.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(points))
    return centred, np.maximum(variances[::-1], 0.0), axes[:, ::-1]


def _log_normal(squares: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Log-density of independent zero-mean normals with these variances at points with these squares [n, d]."""
    return -0.5 * (squares @ (1.0 / variances) + np.log(2 * np.pi * variances).sum())
