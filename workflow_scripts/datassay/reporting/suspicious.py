"""Which examples are most likely mislabelled, and what they should probably be called."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import DatassayError, NotApplicable
from datassay.reporting.columns import FLAG, SUGGESTION, column_guide, numeric_columns, train_rows

if TYPE_CHECKING:
    import pandas as pd

# Three views of an example that err for different reasons: a model that never saw its label (cross-validation), the
# model that learned it, and its neighbours in held-out data. Columns of one view are averaged first, so that none
# counts more for having more columns.
EVIDENCE: tuple[tuple[str, ...], ...] = (
    ("self_confidence", "normalised_margin", "held_out_error"),
    ("aum", "avg_conf", "mean_abs_error"),
    ("knn_shapley",),
)

PREDICTIONS = ("ens_prediction", "final_prediction")  # of a regression, the better one first


def suspicion(measures: "pd.DataFrame") -> np.ndarray:
    """Return how likely each row is mislabelled compared with the others, float64 [n] in [0, 1].

    measures: the measure and value columns of n rows. Every column of EVIDENCE that is there becomes a percentile
    (0 least, 1 most suspicious, ties averaged), percentiles are averaged within a view and then over the views. Where
    none is there, every column with a stated end for wrong labels counts alike. 0.5 is the middle, not a probability;
    a row without any evidence is NaN. Time O(n log n) per column.

    Raises NotApplicable where no column says anything about labels.
    """
    guide = column_guide()
    numbers = numeric_columns(measures, guide)
    views = [[name for name in view if name in numbers] for view in EVIDENCE]
    if not any(views):
        oriented = [name for name in numbers if name in guide and guide[name][1] and name != "suspicion"]
        views = [[name] for name in oriented]
    shares = [
        _row_mean([_percentile(numbers[name].to_numpy(), guide[name][1] == "low") for name in view])
        for view in views
        if view
    ]
    if not shares:
        raise NotApplicable("no measure says which labels are wrong (families label_quality or training_dynamics do)")
    return _row_mean(shares)


def add_suspicion(assay: "pd.DataFrame") -> "pd.DataFrame":
    """Return `assay` with the column `suspicion`, computed on its train rows; as it is where it cannot."""
    measured = ((assay["split"] == "train") & ~assay["is_probe"]).to_numpy()
    try:
        found = suspicion(assay[measured])
    except NotApplicable:
        return assay
    column = np.full(len(assay), np.nan)
    column[measured] = found
    return assay.assign(suspicion=column)


def list_suspicious(
    assay: "pd.DataFrame", n: int, label_names: Sequence[str], logits: np.ndarray | None = None
) -> "pd.DataFrame":
    """Return the n train examples that are most likely mislabelled, most suspicious first.

    assay: as `join_assay` returns it. logits: [rows of the train split, C] of classes or options. An example is flagged
    where the assay suggests another label, or, where it has no `suggested_label`, where another has the highest logit;
    to every other one the best label beside the given one is suggested. In a regression the mean prediction of the
    seeds, or that of the final model, is suggested and nothing is flagged.

    Columns: rank, example_id, label, suggested_label, true_label (where any is known), suspicion, likely_mislabelled,
    and text, text_b, options or image_path. Time O(N (C + log N)).

    Raises NotApplicable where the assay has no `suspicion`.
    """
    import pandas as pd

    if "suspicion" not in assay:
        raise NotApplicable("no measure says which labels are wrong (families label_quality or training_dynamics do)")
    numbers = next((name for name in PREDICTIONS if name in assay), None)
    assay = _with_prediction(assay, numbers) if numbers else _with_suggestion(assay, label_names, logits)
    rows = train_rows(assay)
    order = np.argsort(-rows["suspicion"].fillna(-1.0).to_numpy(), kind="stable")[:n]
    columns = ["example_id", "label", SUGGESTION, "true_label", "suspicion", FLAG]
    columns += ["text", "text_b", "options", "image_path"]
    kept = [name for name in columns if name in rows and not (name == "true_label" and rows[name].isna().all())]
    table = rows.loc[order, kept].reset_index(drop=True)
    table.insert(0, "rank", pd.Series(np.arange(1, len(table) + 1), dtype="int64"))
    return table


def _with_prediction(assay: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """Suggest a predicted number; labels and predictions become texts of 4 digits, for people to compare."""

    def texts(column: "pd.Series") -> "pd.Series":
        return column.map(lambda value: f"{value:.4g}", na_action="ignore").astype("str")

    shown = {column: texts(assay[column]) for column in ("label", "true_label") if column in assay}
    return assay.assign(**shown, **{SUGGESTION: texts(assay[name])})


def _with_suggestion(assay: "pd.DataFrame", label_names: Sequence[str], logits: np.ndarray | None) -> "pd.DataFrame":
    """Flag the train rows that another label is suggested for, and suggest one to the others too."""
    import pandas as pd

    if logits is None or not len(label_names):
        if SUGGESTION not in assay:
            return assay.assign(**{SUGGESTION: pd.Series(None, index=assay.index, dtype="str")})
        return assay.assign(**{FLAG: assay[SUGGESTION].notna() & (assay[SUGGESTION] != assay["label"])})
    train = np.flatnonzero(assay["split"] == "train")
    if np.shape(logits) != (len(train), len(label_names)):
        shape = f"({len(train)}, {len(label_names)}), a row for each train row"
        raise DatassayError(f"logits: shape {np.shape(logits)}, expected {shape}")
    given = assay["label"].to_numpy(dtype=object)[train]
    names = np.asarray(label_names, dtype=object)
    said = assay[SUGGESTION].to_numpy(dtype=object)[train] if SUGGESTION in assay else names[logits.argmax(axis=1)]
    differs = ~pd.isna(said) & (said != given)
    rivals = np.where(names[None] == given[:, None], -np.inf, logits).argmax(axis=1)
    suggestion, flag = np.full(len(assay), None, dtype=object), np.zeros(len(assay), bool)
    suggestion[train], flag[train] = np.where(differs, said, names[rivals]), differs
    suggested = pd.Series(suggestion, index=assay.index, dtype="str")
    return assay.assign(**{SUGGESTION: suggested}).assign(**{FLAG: flag})


def _percentile(values: np.ndarray, low: bool) -> np.ndarray:
    from scipy.stats import rankdata

    share = np.full(len(values), np.nan)
    known = np.isfinite(values)
    count = int(known.sum())
    if count:
        ranks = rankdata(-values[known] if low else values[known])
        share[known] = (ranks - 1) / (count - 1) if count > 1 else 0.5
    return share


def _row_mean(columns: Sequence[np.ndarray]) -> np.ndarray:
    stacked = np.array(columns)
    count = np.isfinite(stacked).sum(axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)
