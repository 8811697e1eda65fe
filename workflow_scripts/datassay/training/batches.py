"""Which rows go together in a step, and in which order."""

import numpy as np

CHUNK = 50  # batches that are sorted by length together: little padding, and the order stays random


def batches(
    rows: np.ndarray, batch_size: int, rng: np.random.Generator, lengths: np.ndarray | None
) -> list[np.ndarray]:
    """Return `rows` in random order, cut into batches; the batches together hold every row once.

    lengths: token counts of all rows of the data set; rows are then sorted by length inside chunks of 50 batches and
    the batches are shuffled. The last batch may be smaller; a single last row joins the batch before it, because
    batch norm cannot train on one row.
    """
    order = rng.permutation(rows)
    if lengths is not None:
        width = CHUNK * batch_size
        chunks = [order[start : start + width] for start in range(0, len(order), width)]
        order = np.concatenate([chunk[np.argsort(lengths[chunk], kind="stable")] for chunk in chunks])
    starts = list(range(0, len(order), batch_size))
    if len(starts) > 1 and len(order) - starts[-1] == 1:
        starts.pop()
    cut = np.split(order, starts[1:])
    return [cut[i] for i in rng.permutation(len(cut))] if lengths is not None else cut


def by_length(rows: np.ndarray, batch_size: int, lengths: np.ndarray | None) -> list[np.ndarray]:
    """Return `rows` cut into batches, the longest texts first: what does not fit into memory shows at once."""
    if lengths is not None:
        rows = rows[np.argsort(-lengths[rows], kind="stable")]
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


class Ragged:
    """Rows of unequal length in one flat array."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        self.flat = np.fromiter((value for row in rows for value in row), np.int32, int(self.lengths.sum()))

    def index(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return positions in the flat array int64 [n, longest] and a mask [n, longest] of those that are real."""
        lengths = self.lengths[rows]
        steps = np.arange(max(int(lengths.max()), 1))
        mask = steps < lengths[:, None]
        return np.where(mask, self.starts[rows][:, None] + steps, 0), mask

    def padded(self, rows: np.ndarray, filler: int) -> np.ndarray:
        """Return int64 [n, longest], short rows filled on the right."""
        index, mask = self.index(rows)
        return np.where(mask, self.flat[index], filler).astype(np.int64)
