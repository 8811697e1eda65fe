"""How crowded the surroundings of a point are: by nearest neighbours and by Gaussian models."""

from collections.abc import Iterator

import numpy as np

from datassay.compute import one_thread
from datassay.errors import DatassayError
from datassay.neighbors import exact_neighbors, neighbors_within

Neighbors = tuple[np.ndarray, np.ndarray]
BLOCK_ROWS = 4096  # points held in float64 at a time


def check_k(k: int) -> None:
    """Refuse a neighbour rank below 1."""
    if k < 1:
        raise DatassayError(f"k: {k}, allowed are 1 or more")


def kth_distance(points: np.ndarray, k: int, distances: np.ndarray | None = None) -> np.ndarray:
    """Return the Euclidean distance of every point to its k-th nearest other point, the farthest if there are fewer.

    points: [n, d] with n >= 2. distances: [n, m] to the nearest other points, nearest first, where these are known;
    they are searched for where m is below k. float64 [n]; exactly 0 for a point with k equals.
    Time O(n^2 d) without distances, memory O(block).
    """
    k = min(k, len(points) - 1)
    if distances is not None and len(distances) != len(points):
        raise DatassayError(f"neighbours of {len(distances)} rows, expected those of {len(points)}")
    if distances is None or distances.shape[1] < k:
        _, distances = neighbors_within(points, k)
    return distances[:, k - 1].astype(np.float64)


def kth_distance_in_class(
    points: np.ndarray, labels: np.ndarray, k: int, neighbors: Neighbors | None = None
) -> np.ndarray:
    """Return the distance of every point to its k-th nearest other point of the same class.

    The farthest member stands in where the class has fewer. A point that is alone in its class has no such neighbour:
    its k-th nearest of any class stands in, and 0 if it is the only point of all. neighbors: ids and distances [n, m]
    of the nearest other points, nearest first, where these are known; only points with fewer than k of their class
    among them are searched for. float64 [n]. Time O(n^2 d / C) without neighbors, memory O(n + block).
    """
    distances, known = np.zeros(len(points)), np.zeros(len(points), dtype=bool)
    if neighbors is not None:
        ids, given = neighbors
        ranks = (labels[ids] == labels[:, None]).cumsum(axis=1)
        known = (ranks == k).any(axis=1)
        distances[known] = given[known, (ranks[known] == k).argmax(axis=1)]
    for label in np.unique(labels[~known]):
        members = np.flatnonzero(labels == label)
        wanted = members[~known[members]]
        among = members if len(members) > 1 else np.arange(len(points))
        # one more than asked for, as each of them meets itself at distance 0
        nearest = min(k + 1, len(among))
        distances[wanted] = exact_neighbors(points[wanted], points[among], nearest, metric="euclidean")[1][:, -1]
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

    points: [n, d], memory-mapped or not. float64 [n]. Time O(n d^2 + d^3), memory O(n + d^2 + block).
    """
    with one_thread():
        mean, variances, axes = _principal_axes(points)
        return _log_normal(points, mean, axes, variances + ridge)


def ppca_log_likelihood(features: np.ndarray, variance: float = 0.99) -> np.ndarray:
    """Return the log-likelihood of every row under a probabilistic PCA fitted to all rows, per feature (nats).

    The model keeps the fewest principal axes that hold the share `variance` of the variance and spreads the rest
    evenly over the other directions (maximum likelihood, Tipping & Bishop 1999, eq. 7 and 8). Where nothing is left
    over, a noise of 1e-6 of the mean variance keeps the density finite. The mean over the d features is returned, as
    the likelihood of a text is a mean over its tokens; multiply by d for the density of the whole row.

    features: [n, d] finite, memory-mapped or not. float64 [n]. Time O(n d^2 + d^3), memory O(n + d^2 + block).
    """
    with one_thread():
        mean, variances, axes = _principal_axes(features)
        total = variances.sum()
        kept = int(np.searchsorted(np.cumsum(variances), variance * total)) + 1 if total > 0 else 0
        rest = variances[kept:]
        floor = 1e-6 * variances.mean() or 1.0
        model = variances.copy()
        model[kept:] = max(rest.mean(), floor) if rest.size else floor
        return _log_normal(features, mean, axes, np.maximum(model, floor)) / features.shape[1]


def _principal_axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean, the variance along every principal axis, largest first, and the axes as columns."""
    mean = sum(block.sum(axis=0) for _, block in _blocks(points)) / len(points)
    scatter = np.zeros((points.shape[1], points.shape[1]))
    for _, block in _blocks(points):
        block -= mean
        scatter += block.T @ block
    variances, axes = np.linalg.eigh(scatter / len(points))
    return mean, np.maximum(variances[::-1], 0.0), axes[:, ::-1]


def _log_normal(points: np.ndarray, mean: np.ndarray, axes: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Log-density of a normal distribution with these variances along these axes, at points [n, d]."""
    distances = np.empty(len(points))
    for rows, block in _blocks(points):
        block -= mean
        distances[rows] = np.square(block @ axes) @ (1.0 / variances)
    return -0.5 * (distances + np.log(2 * np.pi * variances).sum())


def _blocks(points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows and a copy of them in float64, block by block."""
    for start in range(0, len(points), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        yield rows, np.array(points[rows], dtype=np.float64)
