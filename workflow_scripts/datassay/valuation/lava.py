"""LAVA: how much an example brings the train split nearer to the valuation split, by optimal transport."""

import logging

import numpy as np

from datassay.errors import DatassayError
from datassay.registry import estimator
from datassay.valuation._distances import check_data, encoded
from datassay.valuation._transport import Cost, sinkhorn

logger = logging.getLogger(__name__)


@estimator(version=1, source="Just et al., ICLR 2023, arXiv 2305.00054")
def lava(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    *,
    label_weight: float = 1.0,
    regularisation: float = 0.05,
    match_classes: bool = False,
    iterations: int = 1000,
) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated gradient of the class-wise transport distance from the train to the valuation split, sign turned.

    No model is trained. The cost of moving a train row to a valuation row is the squared Euclidean distance of their
    vectors plus label_weight times the transport cost between their classes: that between the train rows of the one
    and the valuation rows of the other. With f the potential of the train rows, value = mean of the others' f less own
    f: by how much the distance falls, to first order, when mass moves to this row from all others alike. High is good,
    the values sum to 0, so that a threshold of 0 would drop about half. regularisation: entropic, as a share of the
    mean cost. match_classes: give every class of the valuation split its share of the train labels; without, a class
    that is more frequent among the train rows than there has low values throughout, as in the paper. iterations: at
    most so many for every transport. The standard error is 0: nothing is sampled.

    Time O(N V) per iteration, memory O(N V) up to 512 MiB, in blocks above.
    Raises DatassayError as `knn_shapley`, and for a regularisation that is not above 0 or a label_weight below 0.
    """
    from threadpoolctl import threadpool_limits

    check_data(train_x, train_y, valid_x, valid_y, "euclidean", iterations=iterations)
    if not 0 < regularisation < np.inf or not 0 <= label_weight < np.inf:
        raise DatassayError(
            f"lava: regularisation = {regularisation}, label_weight = {label_weight}, allowed: above 0 and at least 0"
        )
    labels, points = encoded(train_y, valid_y)
    centre = np.asarray(valid_x, dtype=np.float64).mean(axis=0)
    left, right = (np.asarray(x, dtype=np.float64) - centre for x in (train_x, valid_x))
    if not np.isfinite(left).all() or not np.isfinite(right).all():
        raise DatassayError(
            "lava: train_x or valid_x holds a value that is not finite, only finite numbers are allowed"
        )
    with threadpool_limits(1):
        classes = class_distances(left, labels, right, points, regularisation, iterations)
        plain = _squared(left, right)
        between = label_weight * classes

        def cost(start: int, stop: int) -> np.ndarray:
            return plain(start, stop) + between[labels[start:stop]][:, points]

        shares = [np.bincount(codes, minlength=len(classes)) / len(codes) for codes in (labels, points)]
        epsilon = _positive(regularisation * (_mean_squared(left, right) + float(shares[0] @ between @ shares[1])))
        masses = _masses(points, *shares) if match_classes else np.full(len(right), 1 / len(right))
        found = sinkhorn(cost, len(left), masses, epsilon, iterations=iterations)
    logger.info("transport cost %.6g per example, class distances %.4g on average", found.cost, classes.mean())
    n = len(left)
    return -found.f * n / max(n - 1, 1), np.zeros(n)


def class_distances(
    left: np.ndarray,
    labels: np.ndarray,
    right: np.ndarray,
    points: np.ndarray,
    regularisation: float = 0.05,
    iterations: int = 1000,
) -> np.ndarray:
    """Return the transport cost between every class of `left` and every class of `right`, float64 [C, C].

    Classes are 0 .. C - 1; 0 where one of the two has no rows: such a cell is never read.
    """
    count = int(max(labels.max(), points.max())) + 1
    result = np.zeros((count, count))
    for own in np.unique(labels):
        for other in np.unique(points):
            a, b = left[labels == own], right[points == other]
            epsilon = _positive(regularisation * _mean_squared(a, b))
            result[own, other] = sinkhorn(
                _squared(a, b), len(a), np.full(len(b), 1 / len(b)), epsilon, tolerance=1e-4, iterations=iterations
            ).cost
    return result


def _masses(points: np.ndarray, train: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return masses [V] of valuation rows that give every class its share of the train labels."""
    wanted = (train / np.where(valid > 0, valid, 1))[points]
    return wanted / wanted.sum() if wanted.any() else np.full(len(points), 1 / len(points))


def _squared(left: np.ndarray, right: np.ndarray) -> Cost:
    """Return a function of (start, stop): squared distances of those rows of left to all rows of right."""
    squares = np.einsum("ij,ij->i", right, right)

    def rows(start: int, stop: int) -> np.ndarray:
        part = left[start:stop]
        own = np.einsum("ij,ij->i", part, part)
        return np.maximum(own[:, None] + squares - 2 * part @ right.T, 0)

    return rows


def _mean_squared(left: np.ndarray, right: np.ndarray) -> float:
    """Mean squared distance over all pairs."""
    squares = sum(np.einsum("ij,ij->", x, x) / len(x) for x in (left, right))
    return float(max(squares - 2 * left.mean(axis=0) @ right.mean(axis=0), 0))


def _positive(epsilon: float) -> float:
    return max(epsilon, float(np.finfo(np.float64).tiny) * 1e10)
