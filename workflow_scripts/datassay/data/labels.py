"""Labels as written to class numbers, with one list of names for all of them."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.data.checks import is_missing, shown
from datassay.data.source import POOL, Source
from datassay.errors import DatassayError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = -1
WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BAD = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_known(labels: np.ndarray) -> np.ndarray:
    """Return which labels are known, boolean [n]: class numbers are not -1, numbers (floating point) are not NaN."""
    return np.isfinite(labels) if labels.dtype.kind == "f" else labels != UNKNOWN


def known_wrong(labels: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return which labels differ from the true one, boolean [n]; False where one of the two is not known."""
    return (labels != true) & is_known(labels) & is_known(true)


def code_labels(source: Source, label_names: Sequence[str] | None) -> tuple["pd.DataFrame", list[str]]:
    """Return the table with `label` (and `true_label`) as int64 class numbers, and the names of the classes.

    label_names: names of the labels 0, 1, ...; labels may then be numbers or names. Without them text labels are
    numbered in sorted order, whole numbers in ascending order (text that holds only whole numbers counts as numbers),
    and false, true as 0, 1. A label may be missing (-1) in split "pool" only, a true label anywhere.
    Raises DatassayError for a label that is missing, of another kind than the first, or not among the names.
    """
    table = source.table.copy()
    roles = [role for role in ("label", "true_label") if role in table]
    values = {role: [plain(value) for value in table[role]] for role in roles}
    check_missing(source, values["label"])
    flat = [(role, row, value) for role in roles for row, value in enumerate(values[role]) if value is not None]
    if not flat:
        raise DatassayError(f"{source.place(0, 'label')}: no row has a label")
    names = list(label_names) if label_names is not None else None
    flat = _as_one_kind(source, flat, names)
    if names is None:
        distinct = sorted({value for _, _, value in flat})
        names = [str(value).lower() if isinstance(value, bool) else str(value) for value in distinct]
        codes = {value: code for code, value in enumerate(distinct)}
    else:
        codes = {name: code for code, name in enumerate(names)} | {code: code for code in range(len(names))}
    coded = {role: np.full(len(table), UNKNOWN, dtype=np.int64) for role in roles}
    for role, row, value in flat:
        if value not in codes:
            raise DatassayError(f"{source.place(row, role)}: label {shown(value)} {_outside(value, names)}")
        coded[role][row] = codes[value]
    return table.assign(**coded), names


def keep_classes(
    table: "pd.DataFrame", names: list[str], classes: Sequence[str] | None
) -> tuple["pd.DataFrame", list[str], list[str]]:
    """Keep the rows whose given (and true, where known) label is one of `classes`, and number these in old order.

    classes: None for every class. Classes without any row are dropped from the names, with a note; not so where rows
    have no label yet, which may be of any class.
    Returns table, names, notes. Raises DatassayError for unknown names and where fewer than 2 classes are left.
    """
    for name in classes or []:
        if name not in names:
            raise DatassayError(f"classes: no class '{name}'{did_you_mean(name, names)}")
    labels = np.stack([table[role].to_numpy() for role in ("label", "true_label") if role in table])
    wanted = [code for code, name in enumerate(names) if classes is None or name in classes]
    rows = np.isin(labels, [*wanted, UNKNOWN]).all(axis=0)
    present = wanted if (labels[0, rows] == UNKNOWN).any() else np.unique(labels[:, rows])
    kept = [code for code in wanted if code in present]
    if len(kept) < 2:
        found = ", ".join(names[code] for code in kept) or "none"
        raise DatassayError(f"labels: needs at least 2 classes with rows, found {len(kept)} ({found})")
    renumber = np.full(len(names) + 1, UNKNOWN, dtype=np.int64)
    renumber[kept] = np.arange(len(kept))
    table = table.iloc[np.flatnonzero(rows)].reset_index(drop=True)
    table = table.assign(**{role: renumber[table[role]] for role in ("label", "true_label") if role in table})
    notes = [f"Class '{names[code]}' has no rows and was left out." for code in wanted if code not in present]
    return table, [names[code] for code in kept], notes


def check_trained(source: Source, splits: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> None:
    """Raise DatassayError for a class that is tested (or valued, validated) but has no train row."""
    unseen = ~np.isin(labels, labels[splits == "train"]) & (labels != UNKNOWN)
    if unseen.any():
        row = int(np.argmax(unseen))
        raise DatassayError(
            f"{source.place(row, 'label')}: label '{names[labels[row]]}' ({splits[row]}) has no train row, "
            "give it some or name the others in `classes`"
        )


def plain(value: Any) -> Any:
    """Return None (missing, or text that is blank), bool, int, float or str of a value of any library.

    What is none of these comes back as it was, to be refused.
    """
    value = value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
    if is_missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def unlabelled_to_pool(source: Source, splits: Sequence[str]) -> list[str]:
    """Return the splits with the train rows that have no label in the pool."""
    labels = source.table["label"] if "label" in source.table else [None] * len(splits)
    return [
        POOL if split == "train" and plain(label) is None else split
        for split, label in zip(splits, labels, strict=True)
    ]


def check_missing(source: Source, labels: Sequence[Any]) -> None:
    splits = source.table["split"] if "split" in source.table else [None] * len(labels)
    missing = [row for row, value in enumerate(labels) if value is None and splits[row] != POOL]
    if missing:
        count = f"{len(missing)} such row{'s' * (len(missing) > 1)}"
        raise DatassayError(
            f"{source.place(missing[0], 'label')}: no label ({count}), give one, remove the row or put it in a split "
            f"named '{POOL}' (train rows: missing_labels: {POOL})"
        )


def _as_one_kind(
    source: Source, flat: list[tuple[str, int, Any]], names: Sequence[str] | None
) -> list[tuple[str, int, Any]]:
    """Check that all labels are text, all whole numbers or all truth values, and turn text of numbers into numbers."""
    kind = type(flat[0][2])
    for role, row, value in flat:
        if type(value) not in (str, int, bool):
            what = "a label is a name or a whole number"
            raise DatassayError(f"{source.place(row, role)}: label {shown(value)}, {what}")
        if type(value) is not kind:
            raise DatassayError(
                f"{source.place(row, role)}: label {shown(value)}, others are like {shown(flat[0][2])}: "
                "write all as names or all as whole numbers"
            )
        if kind is str and _BAD.search(value):
            raise DatassayError(f"{source.place(row, role)}: label {shown(value)} holds a control character")
    if kind is not str or (names is not None and all(value in names for _, _, value in flat)):
        return flat
    if all(NUMBER.fullmatch(value) for _, _, value in flat):
        for role, row, value in flat:
            if not WHOLE.fullmatch(value):
                raise DatassayError(
                    f"{source.place(row, role)}: label {shown(value)}, a label is a name or a whole number"
                )
        return [(role, row, int(value.partition(".")[0])) for role, row, value in flat]
    return flat


def _outside(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, str):
        return f"is not among the label names{did_you_mean(value, names)}"
    return f"is out of range, allowed: 0 to {len(names) - 1} ({', '.join(names[:10])}{', ...' * (len(names) > 10)})"
