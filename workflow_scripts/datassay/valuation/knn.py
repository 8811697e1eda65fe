"""Exact Shapley values of training points under K-nearest-neighbour classifiers, by their closed forms."""

import numpy as np

from datassay.neighbors import Metric
from datassay.registry import estimator
from datassay.valuation._distances import check_data, encoded, mean_over_points


def knn_shapley(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    k: int = 10,
    *,
    metric: Metric = "euclidean",
    block: int = 256,
) -> np.ndarray:
    """Return the exact KNN-Shapley value of every train row, float64 [N].

    The utility of a coalition is the share of right labels among the k nearest rows in it (divisor k, also where it
    has fewer), averaged over the valuation points; the values sum to the utility of all rows. train_x [N, d] and
    valid_x [V, d] hold finite numbers and may be memory-mapped, train_y [N] and valid_y [V] integers or text.
    metric: "euclidean" or "cosine" (a zero row is at distance 1). block: valuation points at a time.

    Jia et al., VLDB 2019 (arXiv 1908.08619), theorem 1. Distances are float64, around the mean of valid_x; squared
    distances whose first 45 binary digits agree are ties, which go by row. Neither block nor threads matter.
    Time O(V N (d + log N)), memory O(block N), at most about 512 MiB where N <= 2^26.
    Raises DatassayError for empty splits, unequal shapes, values that are not finite and labels of another type.
    """
    return knn_shapley_with_error(train_x, train_y, valid_x, valid_y, k, metric=metric, block=block)[0]


@estimator(name="knn_shapley", version=1, source="Jia et al., VLDB 2019, arXiv 1908.08619")
def knn_shapley_with_error(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    k: int = 10,
    *,
    metric: Metric = "euclidean",
    block: int = 256,
) -> tuple[np.ndarray, np.ndarray]:
    """Exact Shapley value under a K-nearest-neighbour classifier, with its standard error over valuation points.

    As `knn_shapley`; the second array, float64 [N], is the sample standard deviation over valuation points divided by
    the root of their number, NaN where there is only one.
    """
    check_data(train_x, train_y, valid_x, valid_y, metric, k=k, block=block)
    labels, points = encoded(train_y, valid_y)
    steps = _steps(len(labels), k)
    return _by_rank(train_x, labels, valid_x, points, steps, np.zeros(len(points)), metric, block)


@estimator(version=1, source="Wang & Jia, 2023, arXiv 2304.04258")
def soft_knn_shapley(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    k: int = 10,
    *,
    metric: Metric = "euclidean",
    block: int = 256,
) -> tuple[np.ndarray, np.ndarray]:
    """Exact Shapley value under a soft-label K-nearest-neighbour classifier, with its standard error.

    The utility of a coalition S is the share of right labels among its min(k, |S|) nearest rows, 1 / C for no rows
    (C: classes that occur in either split), so that a small coalition is not marked down for its size; the values sum
    to the utility of all rows less 1 / C. The theorem of the paper as one pass from the farthest row to the
    nearest: the value changes by (m_i - m_(i+1)) ((H - c) / (N - 1) + min(k, i) / (k i)), i = 1 the nearest, m 1 where
    the label is right, c = min(k, N - 1) / k and H the harmonic number of min(k, N - 1).
    Otherwise as `knn_shapley`.
    """
    check_data(train_x, train_y, valid_x, valid_y, metric, k=k, block=block)
    labels, points = encoded(train_y, valid_y)
    n, classes = len(labels), max(labels.max(), points.max()) + 1
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, min(k, n) + 1)))
    steps = _steps(n, k)
    matches = np.bincount(labels, minlength=classes)[points]
    rivals, later = max(n - 1, 1), harmonic[min(k, n)] - 1  # later: sum of 1/(s+1) over coalitions of s >= 1 rows
    if n > 1:
        steps[:-1] += (harmonic[min(k, n - 1)] - min(k, n - 1) / k) / rivals
    steps[-1] = (1 + later + later / rivals) / n
    last = -(1 / classes + later * matches / rivals) / n
    return _by_rank(train_x, labels, valid_x, points, steps, last, metric, block)


def _steps(n: int, k: int) -> np.ndarray:
    ranks = np.arange(1, n + 1)
    return np.minimum(k, ranks) / (k * ranks)


def _by_rank(
    train_x: np.ndarray,
    labels: np.ndarray,
    valid_x: np.ndarray,
    points: np.ndarray,
    steps: np.ndarray,
    last: np.ndarray,
    metric: Metric,
    block: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Values that follow from the order of the distances: last [V] + steps [N] as the kernel reads them."""
    from datassay.valuation._kernels import shapley_rows

    def to_values(squared: np.ndarray, offsets: np.ndarray, first: int, start: int, stop: int) -> None:
        shapley_rows(squared, offsets, labels, points[first:], steps, last[first:], start, stop)

    return mean_over_points(train_x, valid_x, to_values, metric, block)
