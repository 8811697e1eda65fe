"""The wide table for people, and how well each of its columns finds known label noise."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from datassay.data.labels import UNKNOWN
from datassay.errors import DatassayError
from datassay.reporting.columns import SUGGESTION, Guide, numeric_columns
from datassay.reporting.suspicious import add_suspicion
from datassay.stages import NOT_ASKED_FOR

if TYPE_CHECKING:
    import pandas as pd

Frames = Mapping[str, Mapping[str, "pd.DataFrame"]]
DETECTION_COLUMNS = (
    "column", "family", "orientation", "auroc", "average_precision", "precision_at_noise", "n", "n_noisy"
)  # fmt: skip
NONE_STATED = "none stated"
NOTHING_KNOWN = "no label is known to be right or wrong"


def join_assay(
    examples: "pd.DataFrame", families: Frames, values: Frames, main_model: str, label_names: Sequence[str]
) -> "pd.DataFrame":
    """Join every measure and value on example_id: one row per example, in the order of `examples`.

    examples: N rows with example_id, split, label (class number) and what else is known of them.
    families: {model: {family: table with example_id}}.
    values: {model: {estimator: table with example_id, value and, where there is one, standard_error}}.
    label_names: name of class (or option) 0, 1, ...; every label in the table is a name. The labels of a regression
    are numbers and stay so. Options are one text, " / " between them.

    Columns of models other than `main_model` end in `.{model}`. A value column has its estimator's name, its standard
    error `{estimator}_standard_error`. Rows that were not measured (all but train) are empty. `suspicion` is added
    where it can be computed. Images are left out, their path is kept. What a family of the main model could not compute
    is in `attrs["absent"]`, with the reasons. Time and memory O(N columns).

    Raises DatassayError on two columns of one name, unknown or repeated ids, and labels without a name.
    """
    import pandas as pd

    about = _about_examples(examples, label_names)
    ids = pd.Index(about["example_id"])
    if not ids.is_unique:
        raise DatassayError(f"examples: example_id '{ids[ids.duplicated()][0]}' is there twice, ids must be unique")
    columns = {name: about[name] for name in about}
    for origin, name, column in _measured(families, values, main_model):
        if name in columns:
            raise DatassayError(f"{origin}: column '{name}' is already in the assay, rename one of the two")
        unknown = column.index.difference(ids)
        if len(unknown):
            raise DatassayError(f"{origin}: example_id '{unknown[0]}' is not in the examples")
        if not column.index.is_unique:
            raise DatassayError(f"{origin}: example_id '{column.index[column.index.duplicated()][0]}' is there twice")
        if name.partition(".")[0] == SUGGESTION:
            column = _named(column, label_names)
        elif column.dtype.kind in "biu":
            column = column.astype("boolean" if column.dtype.kind == "b" else "Int64")
        columns[name] = column.reindex(ids).reset_index(drop=True)
    assay = add_suspicion(pd.DataFrame(columns))
    assay.attrs["absent"] = {
        name: reason
        for family in families.get(main_model, {}).values()
        for name, reason in family.attrs.get("absent", {}).items()
        if reason != NOT_ASKED_FOR
    }
    return assay


def score_detection(assay: "pd.DataFrame", is_noisy: np.ndarray, orientation: Guide) -> "pd.DataFrame":
    """Score every column as a detector of wrong labels.

    assay: n rows (see `train_rows`) with measure and value columns. is_noisy: [n] 1 wrong, 0 right, NaN unknown.
    orientation: {column: (family, end to which wrong labels tend)}, as `column_guide` returns.

    Returns one row per column, best first: column, family, orientation, auroc (ties count half), average_precision
    (sum over thresholds of recall gained times precision, as scikit-learn), precision_at_noise (of as many rows as are
    wrong, most suspicious first: their recall is the same number), n, n_noisy. A column
    without a stated end is scored as if high were suspicious, with orientation "none stated": an AUROC far below 0.5
    then says that low is.
    Where no row, or every row, is known to be wrong the table is empty and `attrs["reason"]` says why.
    Time O(n log n) per column.
    """
    import pandas as pd

    is_noisy = np.asarray(is_noisy, dtype=float)
    known = np.isfinite(is_noisy)
    share = is_noisy[known].mean() if known.any() else np.nan
    if not 0 < share < 1:
        table = pd.DataFrame(columns=list(DETECTION_COLUMNS))
        table.attrs["reason"] = (
            NOTHING_KNOWN if np.isnan(share)
            else f"every label is known to be {'wrong' if share else 'right'}, nothing to tell apart"
        )  # fmt: skip
        return table
    rows = []
    for name, column in numeric_columns(assay, orientation).items():
        family, end = orientation[str(name).partition(".")[0]]
        used = known & np.isfinite(column.to_numpy())
        score, wrong = column.to_numpy()[used], is_noisy[used] == 1
        score = -score if end == "low" else score
        if 0 < wrong.sum() < len(wrong):
            found = (auroc(score, wrong), average_precision(score, wrong), precision_at_noise(score, wrong))
            rows.append((name, family, end or NONE_STATED, *found, len(wrong), int(wrong.sum())))
    table = pd.DataFrame(rows, columns=list(DETECTION_COLUMNS))
    return table.sort_values(["auroc", "column"], ascending=[False, True], ignore_index=True)


def auroc(score: np.ndarray, wrong: np.ndarray) -> float:
    """Share of (wrong, right) pairs in which the wrong one scores higher, ties counting half."""
    from scipy.stats import rankdata

    wrong = np.asarray(wrong, dtype=bool)
    n_wrong = int(wrong.sum())
    above = rankdata(score)[wrong].sum() - n_wrong * (n_wrong + 1) / 2
    return float(above / (n_wrong * (len(wrong) - n_wrong)))


def average_precision(score: np.ndarray, wrong: np.ndarray) -> float:
    """Sum over distinct thresholds, highest first, of the recall gained times the precision there."""
    order = np.argsort(-np.asarray(score, dtype=float), kind="stable")
    ordered = np.asarray(score, dtype=float)[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    found = np.cumsum(np.asarray(wrong, dtype=bool)[order])[last_of_tie]
    return float((np.diff(found, prepend=0) * found / (last_of_tie + 1)).sum() / found[-1])


def precision_at_noise(score: np.ndarray, wrong: np.ndarray) -> float:
    """Share of wrong rows among as many as there are wrong, highest scores first; expected, where scores are equal."""
    score, wrong = np.asarray(score, dtype=float), np.asarray(wrong, dtype=bool)
    wanted = int(wrong.sum())
    cut = np.partition(score, len(score) - wanted)[len(score) - wanted]
    above, tied = score > cut, score == cut
    return float((wrong[above].sum() + (wanted - above.sum()) * wrong[tied].mean()) / wanted)


def _about_examples(examples: "pd.DataFrame", label_names: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    about = pd.DataFrame({"example_id": examples["example_id"], "split": examples["split"]})
    about["label"] = _named(examples["label"], label_names)
    true = examples["true_label"] if "true_label" in examples else pd.Series(pd.NA, index=examples.index)
    about["true_label"] = _named(true, label_names)
    for name in ("is_noisy", "is_probe"):
        about[name] = examples[name].fillna(False).astype(bool) if name in examples else False
    for name in ("group", "text", "text_b"):
        if name in examples:
            about[name] = examples[name]
    if "options" in examples:
        about["options"] = pd.Series([" / ".join(options) for options in examples["options"]], dtype="str")
    if "image" in examples:
        about["image_path"] = [image.get("path") if isinstance(image, dict) else None for image in examples["image"]]
    return about.reset_index(drop=True)


def _named(codes: "pd.Series", label_names: Sequence[str]) -> "pd.Series":
    """Return the names of class numbers, empty where the number is missing; numbers to predict as they are."""
    import pandas as pd

    if not len(label_names):
        return pd.to_numeric(codes).astype("float64")
    numbers = pd.to_numeric(codes).astype("Int64")
    numbers = numbers.mask(numbers == UNKNOWN)
    strange = numbers.notna() & ~numbers.between(0, len(label_names) - 1).fillna(False)
    if strange.any():
        raise DatassayError(f"label {numbers[strange].iloc[0]} has no name, there are {len(label_names)} label names")
    names = [None if pd.isna(number) else str(label_names[number]) for number in numbers]
    return pd.Series(names, index=codes.index, dtype="str")


def _measured(families: Frames, values: Frames, main_model: str) -> "list[tuple[str, str, pd.Series]]":
    """Return (where it comes from, name in the assay, column indexed by example_id), the main model first."""
    found = []
    for model in sorted({*families, *values}, key=lambda model: (model != main_model, model)):
        suffix = "" if model == main_model else f".{model}"
        for family, table in families.get(model, {}).items():
            table = table.set_index("example_id")
            found += [(f"{model}/{family}", f"{name}{suffix}", table[name]) for name in table]
        for estimator, table in values.get(model, {}).items():
            table = table.set_index("example_id")
            for source, name in (("value", estimator), ("standard_error", f"{estimator}_standard_error")):
                if source in table:
                    found.append((f"{model}/{estimator}", f"{name}{suffix}", table[source]))
    return found
