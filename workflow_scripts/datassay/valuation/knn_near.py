"""Exact Shapley values of training points under nearest-neighbour classifiers in which only near rows count."""

import logging
import math

import numpy as np

from datassay.errors import DatassayError, did_you_mean
from datassay.neighbors import HnswIndex, Metric, exact_neighbors, thread_count
from datassay.registry import estimator
from datassay.valuation._distances import check_data, encoded, mean_and_error, mean_over_points

logger = logging.getLogger(__name__)

SEARCHES = ("exact", "hnsw")


@estimator(version=1, source="Jia et al., VLDB 2019, arXiv 1908.08619 (theorem 2)")
def truncated_knn_shapley(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    k: int = 10,
    *,
    epsilon: float = 0.01,
    metric: Metric = "euclidean",
    search: str = "exact",
    block: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """KNN-Shapley of the nearest max(k, 1 / epsilon) train rows of every valuation point, 0 for the rest.

    For every point and row the value is off by at most epsilon; with as many neighbours as rows it is that of
    `knn_shapley`. The error is also at most 1 / (rows counted), and the order among the rows counted is exact for each
    point. search: "exact" (blocked), or "hnsw", an index over the train rows with a small share of missed neighbours,
    for which the bound does not hold. Arrays, metric and standard error as in `knn_shapley`.

    Time O(V N d) for exact search, O((N + V) log N) for an index; memory O(block (8 block + 1 / epsilon + d)).
    Raises DatassayError as `knn_shapley`, and for epsilon outside (0, 1].
    """
    check_data(train_x, train_y, valid_x, valid_y, metric, k=k, block=block)
    if not 0 < epsilon <= 1:
        raise DatassayError(f"epsilon = {epsilon}, allowed: above 0, at most 1")
    if search not in SEARCHES:
        raise DatassayError(f"search '{search}' is not known{did_you_mean(search, SEARCHES)}")
    labels, points = encoded(train_y, valid_y)
    n = len(labels)
    near = min(max(k, math.ceil(1 / epsilon)), n)
    ranks = np.arange(1, near + 1)
    steps = np.minimum(k, ranks) / (k * ranks)
    index = HnswIndex.build(train_x, metric=metric, threads=thread_count()) if search == "hnsw" else None
    sums, squares = np.zeros(n), np.zeros(n)
    for start in range(0, len(points), block):
        queries = valid_x[start : start + block]
        if index is None:
            ids, _ = exact_neighbors(queries, train_x, near, metric=metric)
        else:
            ids, _ = index.query(queries, near, threads=thread_count())
        match = (labels[ids] == points[start : start + block, None]).astype(np.float64)
        beyond = np.zeros((len(ids), 1)) if near == n else match[:, -1:]  # the last one counted has value 0
        change = (match - np.concatenate([match[:, 1:], beyond], axis=1)) * steps
        values = np.cumsum(change[:, ::-1], axis=1)[:, ::-1]
        sums += np.bincount(ids.ravel(), values.ravel(), n)
        squares += np.bincount(ids.ravel(), values.ravel() ** 2, n)
        logger.info("%d/%d valuation points, %d neighbours each", start + len(ids), len(points), near)
    return mean_and_error(sums, squares, len(points))


@estimator(version=1, source="Wang et al., NeurIPS 2023, arXiv 2308.15709")
def threshold_knn_shapley(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    *,
    threshold: float = 0.0,
    k: int = 10,
    metric: Metric = "euclidean",
    block: int = 256,
) -> tuple[np.ndarray, np.ndarray]:
    """Exact Shapley value when all rows within a distance vote, with its standard error over valuation points.

    The utility of a coalition is the share of right labels among its rows at most `threshold` away, 1 / C where there
    is none (C: classes that occur in either split). Rows farther away are null players and all others play the game of
    the mean, so that counts are enough and nothing is sorted. threshold: a distance; 0 for the median over valuation
    points of the distance to the k-th nearest train row, k being used for nothing else. Arrays and metric as in
    `knn_shapley`.

    Time O(V N d), memory O(block N). Raises DatassayError as `knn_shapley`, and for a threshold below 0.
    """
    from datassay.valuation._kernels import threshold_rows

    check_data(train_x, train_y, valid_x, valid_y, metric, k=k, block=block)
    if not 0 <= threshold < math.inf:
        raise DatassayError(f"threshold = {threshold}, allowed: 0 (chosen by k) or a distance above 0")
    labels, points = encoded(train_y, valid_y)
    if not threshold:
        _, distances = exact_neighbors(valid_x, train_x, min(k, len(train_x)), metric=metric)
        threshold = float(np.median(distances[:, -1]))
        logger.info("rows within %.6g vote: the median distance of neighbour %d", threshold, distances.shape[1])
    limit = threshold**2 if metric == "euclidean" else 2 * threshold
    empty = 1 / (max(labels.max(), points.max()) + 1)
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, len(labels) + 1)))

    def to_values(squared: np.ndarray, offsets: np.ndarray, first: int, start: int, stop: int) -> None:
        threshold_rows(squared, offsets, labels, points[first:], harmonic, limit, empty, start, stop)

    return mean_over_points(train_x, valid_x, to_values, metric, block)
