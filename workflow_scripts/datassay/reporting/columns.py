"""What the report knows of the columns and rows of an assay."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from datassay.registry import methods

if TYPE_CHECKING:
    import pandas as pd

Guide = Mapping[str, tuple[str, Literal["low", "high"] | None]]
SUGGESTION = "suggested_label"
FLAG = "likely_mislabelled"


def train_rows(assay: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows that were measured and are no probes."""
    return assay[(assay["split"] == "train") & ~assay["is_probe"].astype(bool)].reset_index(drop=True)


def known_noise(assay: "pd.DataFrame") -> np.ndarray:
    """Return 1.0 where a label is known to be wrong, 0.0 where known to be right, NaN where nobody knows, [N]."""
    import pandas as pd

    known = assay["true_label"].notna() if "true_label" in assay else pd.Series(False, index=assay.index)
    noisy = np.full(len(assay), np.nan)
    if known.any():
        noisy[known] = (assay["label"][known].astype(str) != assay["true_label"][known].astype(str)).astype(float)
    elif assay["is_noisy"].fillna(False).astype(bool).any():
        noisy[:] = assay["is_noisy"].to_numpy(dtype=float, na_value=np.nan)
    return noisy


def column_guide() -> dict[str, tuple[str, Literal["low", "high"] | None]]:
    """Return, for every registered column, its family and the end to which wrong labels tend.

    Low values are suspicious for all estimators; `suspicion` is the combination of several columns.
    """
    guide: dict[str, tuple[str, Literal["low", "high"] | None]] = {
        column.name: (family, column.mislabelled)
        for family, method in methods("measure").items()
        for column in method.columns
        if column.name != SUGGESTION and not column.names
    }
    guide.update(dict.fromkeys(methods("estimator"), ("value", "low")))
    guide["suspicion"] = ("combined", "high")
    return guide


def numeric_columns(assay: "pd.DataFrame", guide: Guide) -> "pd.DataFrame":
    """Return the measures and values of `assay` as float64 columns, in its order."""
    import pandas as pd

    names = [name for name in map(str, assay) if name.partition(".")[0] in guide]
    return pd.DataFrame({name: assay[name].to_numpy(dtype=float, na_value=np.nan) for name in names}, index=assay.index)


def content_text(row: "pd.Series") -> str:
    """Return what an example holds as one text: text, second text and options, else the path of an image or its id."""
    parts = [row[name] for name in ("text", "text_b") if isinstance(row.get(name), str)]
    options = row.get("options")
    if options is not None and not isinstance(options, float):
        parts.append(options if isinstance(options, str) else " / ".join(options))
    path = row.get("image_path")
    return "  |  ".join(parts) or (path if isinstance(path, str) else str(row["example_id"]))


def count_flagged(suspicious: "pd.DataFrame") -> int:
    """Return how many rows of a list of suspicious examples are flagged; all of them where nothing flags any."""
    return int(suspicious[FLAG].astype(bool).sum()) if FLAG in suspicious else len(suspicious)


def wrong_rows(is_noisy: np.ndarray | None, n: int) -> np.ndarray | None:
    """Return which of n rows are known to be wrong, or None where that tells nothing apart."""
    if is_noisy is None or len(is_noisy) != n:
        return None
    wrong = np.asarray(is_noisy, dtype=float) == 1
    return wrong if 0 < wrong.sum() < n else None
