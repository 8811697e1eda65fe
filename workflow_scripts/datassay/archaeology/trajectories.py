"""What a model thought of every example after every epoch, from the logits that training recorded."""

import numpy as np

from datassay.measures._arrays import check_logits, class_first_blocks, of_label

NEVER = -1


def loss_trajectories(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of every row after every epoch, float32 [n, E], and whether it was right, bool [n, E].

    logits: [E, n, C] of any floating-point type, may be memory-mapped; labels: class numbers [n]. The loss is the cross
    entropy of the label in nats (s_i of Siddiqui et al., ICLR 2023). Where several classes have the highest logit a row
    is right if its label is the first of them. Time O(E n C), memory O(E n) beside a block of the logits.
    """
    logits, labels = check_logits(logits, labels)
    epochs, n, _ = logits.shape
    loss, right = np.empty((n, epochs), np.float32), np.empty((n, epochs), bool)
    for rows, block, own in class_first_blocks(logits, labels):
        right[rows] = (block.argmax(axis=0) == own).T
        top = block.max(axis=0)
        norm = top + np.log(np.exp(block - top).sum(axis=0))
        loss[rows] = (norm - of_label(block, own)).T
    return loss, right


def epoch_learned(right: np.ndarray) -> np.ndarray:
    """Return the first epoch (from 1) from which a row stays right to the end, -1 if it is wrong at the end.

    right: bool [n, E]; returns int64 [n].
    """
    last_wrong = np.where(~right, np.arange(1, right.shape[1] + 1), 0).max(axis=1)
    return np.where(right[:, -1], last_wrong + 1, NEVER)


def epoch_first_learned(right: np.ndarray) -> np.ndarray:
    """Return the first epoch (from 1) after which a row is right, -1 if there is none. right: bool [n, E]."""
    return np.where(right.any(axis=1), right.argmax(axis=1) + 1, NEVER)


def maximum_logits(logits: np.ndarray) -> np.ndarray:
    """Return the highest logit of every row after every epoch, float32 [n, E]; logits [E, n, C]."""
    return np.ascontiguousarray(np.asarray(logits).max(axis=2).T, np.float32)


def sorted_logits(logits: np.ndarray, top: int = 10) -> np.ndarray:
    """Return the `top` highest logits of every row after every epoch, falling, float32 [n, E min(top, C)]."""
    kept = min(top, logits.shape[2])
    ordered = -np.sort(-np.asarray(logits, dtype=np.float32), axis=2)[:, :, :kept]
    return np.ascontiguousarray(ordered.transpose(1, 0, 2)).reshape(logits.shape[1], -1)
