"""Labels that are no classes: numbers to predict, and which of several options is right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.data.checks import shown
from datassay.data.labels import NUMBER, UNKNOWN, WHOLE, check_missing, is_known, plain
from datassay.data.source import Source
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

MOST_STRATA = 10  # groups of the labels that are divided alike over the splits
ROWS_PER_STRATUM = 10


def number_labels(source: Source) -> "pd.DataFrame":
    """Return the table with `label` (and `true_label`) as float64, NaN where there is none.

    A label may be missing in split "pool" only, a true label anywhere. Raises DatassayError for a label that is
    missing or no finite number, naming the row, and where all labels are equal.
    """
    coded = {}
    for role, values in _plain_labels(source).items():
        coded[role] = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            if value is not None:
                coded[role][row] = _number(source, role, row, value)
    known = coded["label"][is_known(coded["label"])]
    if not len(known):
        raise DatassayError(f"{source.place(0, 'label')}: no row has a label")
    if known.min() == known.max():
        raise DatassayError(f"labels: all are {known[0]:g}, a regression needs at least 2 different ones")
    return source.table.assign(**coded)


def option_labels(source: Source, label_names: Sequence[str] | None) -> tuple["pd.DataFrame", list[str]]:
    """Return the table with `label` (and `true_label`) as the int64 number of the right option, and the options' names.

    label_names: what the labels call the options, in their order. Without it labels are whole numbers, which count
    from 0 if any label is 0, and from 1 if none is and one is the number of options; so WinoGrande's 1 and 2 are the
    first and the second option. The names are then these numbers. Needs the column `options` of checked lists.
    Raises DatassayError for labels that are missing, outside the options, no number and not named, or whose
    counting cannot be told.
    """
    count = len(source.table["options"].iloc[0])
    values = _plain_labels(source)
    flat = [
        (role, row, value) for role, found in values.items() for row, value in enumerate(found) if value is not None
    ]
    if not flat:
        raise DatassayError(f"{source.place(0, 'label')}: no row has a label")
    if label_names is None:
        numbers = [(role, row, _whole(source, role, row, value)) for role, row, value in flat]
        first = _first_number(source, numbers, count)
        names = [str(number) for number in range(first, first + count)]
        flat = [(role, row, str(number)) for role, row, number in numbers]
    else:
        names = list(label_names)
        if len(names) != count:
            raise DatassayError(f"label_names: {len(names)} names, every row has {count} options")
    coded = {role: np.full(len(source.table), UNKNOWN, dtype=np.int64) for role in values}
    for role, row, value in flat:
        if str(value) not in names:
            raise DatassayError(
                f"{source.place(row, role)}: label {shown(value)} is none of the {count} options, allowed: "
                f"{', '.join(names[:10])}"
            )
        coded[role][row] = names.index(str(value))
    return source.table.assign(**coded), names


def strata(labels: np.ndarray) -> np.ndarray:
    """Return the group of every label that is divided alike over the splits, int64 [n]: a class, or a quantile range.

    labels: int64 class numbers, returned as they are, or float64 numbers: these fall into at most 10 ranges of about
    equal size, of 10 rows or more; equal labels share a range, unknown ones have their own, -1.
    """
    if labels.dtype.kind != "f":
        return labels
    known = is_known(labels)
    parts = int(np.clip(known.sum() // ROWS_PER_STRATUM, 1, MOST_STRATA))
    edges = np.unique(np.quantile(labels[known], np.arange(1, parts) / parts))
    return np.where(known, np.searchsorted(edges, labels, side="right"), UNKNOWN).astype(np.int64)


def _plain_labels(source: Source) -> dict[str, list[Any]]:
    values = {
        role: [plain(value) for value in source.table[role]] for role in ("label", "true_label") if role in source.table
    }
    check_missing(source, values["label"])
    return values


def _number(source: Source, role: str, row: int, value: Any) -> float:
    text = isinstance(value, str) and NUMBER.fullmatch(value)
    plain_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        number = float(value) if text or plain_number else float("nan")
    except OverflowError:
        number = float("inf")
    if not np.isfinite(number):
        raise DatassayError(
            f"{source.place(row, role)}: label {shown(value)}, the label of a regression is a finite number"
        )
    return number


def _whole(source: Source, role: str, row: int, value: Any) -> int:
    if isinstance(value, str) and WHOLE.fullmatch(value):
        value = int(value.partition(".")[0])
    if isinstance(value, bool) or not isinstance(value, int):
        raise DatassayError(
            f"{source.place(row, role)}: label {shown(value)}, the label of a multiple choice is the number of the "
            "right option; where labels are names list them in label_names: [A, B]"
        )
    return value


def _first_number(source: Source, numbers: Sequence[tuple[str, int, int]], count: int) -> int:
    """Return 0 or 1, from which the labels count."""
    found = {number for _, _, number in numbers}
    for role, row, number in numbers:
        if not 0 <= number <= count or (number == count and 0 in found):
            raise DatassayError(
                f"{source.place(row, role)}: label {number}, there are {count} options: labels are 0 to {count - 1} or "
                f"1 to {count}"
            )
    if 0 not in found and count not in found:
        raise DatassayError(
            f"labels: they are {', '.join(map(str, sorted(found)))} of {count} options and may count from 0 or from 1, "
            f"say which: label_names: ['1', ..., '{count}']"
        )
    return 0 if 0 in found else 1
