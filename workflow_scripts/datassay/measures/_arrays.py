"""What every measure shares: checked inputs, stable softmax in blocks of rows, and the table that is handed back."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

Variant = Literal["ours", "released"]
BLOCK_VALUES = 1 << 18  # logits held in float64 at a time: 2 MiB, which stays in the cache


def check_logits(logits: np.ndarray, labels: np.ndarray, name: str = "logits") -> tuple[np.ndarray, np.ndarray]:
    """Return logits [T, n, C] and int64 labels [n] once their types, shapes and ranges agree.

    Values of the logits are looked at block by block in `class_first_blocks`, as they may be memory-mapped.
    """
    logits = np.asanyarray(logits)
    if logits.ndim != 3 or logits.dtype.kind != "f":
        raise DatassayError(
            f"{name}: {logits.dtype} of shape {logits.shape}, expected floating point [passes, rows, classes]"
        )
    if logits.shape[2] == 0:
        raise DatassayError(f"{name}: shape {logits.shape} has no classes")
    return logits, check_labels(labels, rows=logits.shape[1], classes=logits.shape[2])


def check_labels(labels: np.ndarray, rows: int, classes: int | None = None) -> np.ndarray:
    """Return labels as int64 [rows], every one in 0 .. classes - 1."""
    labels = np.asarray(labels)
    if labels.shape != (rows,) or rows == 0:
        raise DatassayError(f"labels: shape {labels.shape}, expected ({max(rows, 1)},), one label for every row")
    if labels.dtype.kind not in "iu":
        raise DatassayError(f"labels: type {labels.dtype}, expected integer class numbers")
    wrong = (labels < 0) | (labels >= (np.iinfo(np.int64).max if classes is None else classes))
    if wrong.any():
        row = int(wrong.argmax())
        allowed = "0 or more" if classes is None else f"0 to {classes - 1}"
        raise DatassayError(f"labels: row {row} is {labels[row]}, allowed are {allowed}")
    return labels.astype(np.int64)


def check_matrix(matrix: np.ndarray, name: str, rows: int | None = None) -> np.ndarray:
    """Return a finite floating-point matrix [rows, d], C-contiguous, float16 widened to float32."""
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or 0 in matrix.shape or rows not in (None, len(matrix)):
        expected = "rows" if rows is None else rows
        raise DatassayError(
            f"{name}: {matrix.dtype} of shape {matrix.shape}, expected floating point [{expected}, width]"
        )
    check_finite(matrix, name)
    return np.ascontiguousarray(matrix, dtype=np.float32 if matrix.dtype == np.float16 else None)


def check_finite(array: np.ndarray, name: str, first_row: int = 0, row_axis: int = 0) -> None:
    """Refuse NaN and infinity, naming the row."""
    finite = np.isfinite(array)
    if not finite.all():
        place = np.argwhere(~finite)[0]
        row = first_row + int(place[row_axis])
        raise DatassayError(f"{name}: row {row} holds {array[tuple(place)]}, only finite numbers are allowed")


def class_first_blocks(
    logits: np.ndarray, labels: np.ndarray, name: str = "logits"
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield (rows, float64 logits [C, T, b], labels [b]) block by block; memory O(block).

    Classes come first because reductions over a long last axis are several times faster than over a few classes.
    """
    passes, n, classes = logits.shape
    size = max(1, BLOCK_VALUES // (passes * classes))
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        block = np.asarray(logits[:, rows])
        check_finite(block, name, first_row=start, row_axis=1)
        yield rows, np.array(block.transpose(2, 0, 1), dtype=np.float64, order="C"), labels[rows]


def of_label(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Pick values [C, T, b] at labels [b]; returns [T, b]."""
    return np.take_along_axis(values, labels[None, None, :], axis=0)[0]


def best_rival(values: np.ndarray, labels: np.ndarray, instead: float = -np.inf) -> np.ndarray:
    """Return the largest of values [C, T, b] with that of the label replaced by `instead`; returns [T, b]."""
    others = values.copy()
    np.put_along_axis(others, labels[None, None, :], instead, axis=0)
    return others.max(axis=0)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the first axis, safe for logits of any size."""
    p = np.exp(logits - logits.max(axis=0))
    p /= p.sum(axis=0)
    return p


def entropy(p: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats over the first axis, with 0 log 0 = 0."""
    return 0.0 - (p * np.log(np.where(p > 0, p, 1.0))).sum(axis=0)


def check_variant(variant: str) -> bool:
    """Return whether the released variant is asked for."""
    if variant not in get_args(Variant):
        raise DatassayError(f"variant: '{variant}', allowed: {', '.join(get_args(Variant))}")
    return variant == "released"


def family_table(columns: Mapping[str, np.ndarray], absent: Mapping[str, str] | None = None) -> "pd.DataFrame":
    """Return the columns as a table that carries the reason of every column left out in `attrs["absent"]`."""
    import pandas as pd

    table = pd.DataFrame(dict(columns))
    table.attrs["absent"] = dict(absent or {})
    return table
