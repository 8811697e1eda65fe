"""The compiled loop of k-center; imported inside the function that needs it, for numba is heavy.

The greedy picks the largest of N distances that never grow. A distance that was brought up to date some picks ago is
therefore an upper bound: the bounds lie in a heap, and only the row at its top is brought up to date, until the top is
so already. The picks are those of comparing every row with every new centre, at a part of the work.
"""

import numpy as np

from datassay.compute import compiled

# A sum may be reordered, so that it vectorises; NaN and infinities keep their meaning.
FAST = {"reassoc", "contract", "nsz"}


@compiled(fastmath=FAST)
def _squared_distance(x: np.ndarray, i: int, j: int) -> np.float32:
    total = np.float32(0.0)
    for c in range(x.shape[1]):
        difference = x[i, c] - x[j, c]
        total += difference * difference
    return total


@compiled(fastmath=FAST)
def _sink(heap: np.ndarray, size: int, position: int, score: np.ndarray) -> None:
    """Restore the order below `position`: the higher score first, the lower row among equals."""
    row = heap[position]
    while 2 * position + 1 < size:
        child = 2 * position + 1
        if child + 1 < size:
            left, right = heap[child], heap[child + 1]
            if score[right] > score[left] or (score[right] == score[left] and right < left):
                child += 1
        below = heap[child]
        if score[row] > score[below] or (score[row] == score[below] and row < below):
            break
        heap[position] = below
        position = child
    heap[position] = row


@compiled(fastmath=FAST)
def _build_heap(score: np.ndarray) -> np.ndarray:
    heap = np.arange(score.shape[0])
    for position in range(score.shape[0] // 2 - 1, -1, -1):
        _sink(heap, score.shape[0], position, score)
    return heap


@compiled(fastmath=FAST)
def greedy_k_center(points: np.ndarray, picks: np.ndarray, distance: np.ndarray) -> None:
    """Fill `picks` [m] farthest first; `distance` [N], squared, to the centres there are already, is overwritten.

    Row i was compared with the first done[i] centres only.
    """
    n_rows = points.shape[0]
    done = np.zeros(n_rows, np.int64)
    heap = _build_heap(distance)
    for k in range(picks.shape[0]):
        i = heap[0]
        while done[i] < k:
            for t in range(done[i], k):
                distance[i] = min(distance[i], _squared_distance(points, i, picks[t]))
            done[i] = k
            _sink(heap, n_rows - k, 0, distance)
            i = heap[0]
        picks[k] = i
        heap[0] = heap[n_rows - k - 1]
        _sink(heap, n_rows - k - 1, 0, distance)
