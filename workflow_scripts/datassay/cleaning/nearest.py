"""Accuracy of a K-nearest-neighbour classifier on many subsets of the train rows, for one sort of the distances."""

import numpy as np

BLOCK_CELLS = 2**24  # distances sorted at a time: 128 MiB, and as much for their order


def knn_accuracies(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, keep: np.ndarray, k: int = 10
) -> np.ndarray:
    """Return the accuracy on the test rows for every row of keep [M, N], float64 [M].

    keep: True for the train rows that vote. The min(k, kept) nearest rows by Euclidean distance (ties by row) vote
    with one voice each, equal votes go to the lowest class number. train_y, test_y: class numbers from 0. NaN without
    test rows. Time O(T N (d + log N)) once and O(T k N / kept) per subset; memory O(M N) and 256 MiB.
    """
    from datassay.cleaning._kernels import kept_votes
    from datassay.compute import one_thread

    if not len(test_y):
        return np.full(len(keep), np.nan)
    classes = int(max(train_y.max(), test_y.max())) + 1
    labels, right = train_y.astype(np.int64), np.zeros(len(keep))
    centre = np.asarray(test_x, dtype=np.float64).mean(axis=0)
    rows = np.asarray(train_x, dtype=np.float64) - centre
    squares = np.einsum("ij,ij->i", rows, rows)
    block = max(1, BLOCK_CELLS // len(rows))
    kept = np.ascontiguousarray(keep, dtype=np.bool_)
    for start in range(0, len(test_y), block):
        points = np.asarray(test_x[start : start + block], dtype=np.float64) - centre
        with one_thread():
            order = np.argsort(squares - 2 * points @ rows.T, axis=1, kind="stable").astype(np.int32)
        predicted = kept_votes(order, kept, labels, k, classes)
        right += (predicted == test_y[start : start + block]).sum(axis=1)
    return right / len(test_y)
