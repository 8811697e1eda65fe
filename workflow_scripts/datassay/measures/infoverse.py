"""The infoVerse: all families side by side, standardised, as one point per example, and the quality of each point.

Source: Kim et al., ACL 2023 (arXiv 2305.19344).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Union

import numpy as np

from datassay.errors import DatassayError, did_you_mean
from datassay.measures._arrays import check_finite, check_labels, check_matrix
from datassay.measures._density import kth_distance_in_class

if TYPE_CHECKING:
    import pandas as pd

UNCERTAINTY = ("el2n", "entropy", "bald", "variation_ratio", "avg_conf", "variability")
INFOVERSE_COLUMNS: tuple[str, ...] = (
    *("avg_conf", "variability", "forgetting", "aum"),
    *(f"ens_{name}" for name in UNCERTAINTY),
    *(f"mc_{name}" for name in UNCERTAINTY),
    *("task_density", "relative_density", "confidence", "entropy", "badge_norm"),
    *("semantic_density", "pseudo_log_likelihood"),
)
REGRESSION_COLUMNS = ("mean_abs_error", "prediction_variability", "ens_abs_error", "ens_std", "mc_std")
POINT_COLUMNS = INFOVERSE_COLUMNS + REGRESSION_COLUMNS
CONSTANT = 1e-6  # a standard deviation below this share of max(1, |mean|) is rounding noise of float32
Quality = Literal["density", "inverse", "uniform"]
QUALITIES: tuple[Quality, ...] = ("density", "inverse", "uniform")


def join_families(families: Iterable["pd.DataFrame"]) -> "pd.DataFrame":
    """Return the infoVerse columns of all families in their fixed order, one row per example.

    These are the published ones and, in the place of those that need classes, REGRESSION_COLUMNS of a regression.
    families: tables of equal length in the same row order; other columns of theirs are left out. What a family could
    not compute is gathered, with the reasons, in `attrs["absent"]` of the result.
    """
    import pandas as pd

    families = list(families)
    if len({len(family) for family in families if family.shape[1]}) > 1:
        raise DatassayError(f"families have {[len(family) for family in families]} rows, expected equal numbers")
    columns = {name: family[name] for family in families for name in family.columns}
    reasons = {name: why for family in families for name, why in family.attrs.get("absent", {}).items()}
    table = pd.DataFrame({name: columns[name].to_numpy() for name in POINT_COLUMNS if name in columns})
    table.attrs["absent"] = {
        name: reasons.get(name, "its family was not computed")
        for name in POINT_COLUMNS
        if name not in columns and (name in reasons or name in INFOVERSE_COLUMNS)
    }
    return table


def standardise(table: Union["pd.DataFrame", np.ndarray]) -> np.ndarray:
    """Return float64 [n, m]: every column less its mean and divided by its population standard deviation.

    table: a DataFrame, of which the infoVerse columns it has are taken in their fixed order, or a matrix [n, m].
    A constant column becomes exactly 0, also where it is constant but for rounding (standard deviation at most 1e-6
    of max(1, |mean|)): noise is never blown up to unit variance. Raises DatassayError on NaN or infinity.
    """
    if isinstance(table, np.ndarray):
        matrix = np.asarray(table, dtype=np.float64)
    else:
        names = [name for name in POINT_COLUMNS if name in table.columns]
        matrix = table[names].to_numpy(dtype=np.float64)
    if matrix.ndim != 2 or matrix.size == 0:
        raise DatassayError(f"infoverse: shape {matrix.shape}, expected at least one row and one column")
    check_finite(matrix, "infoverse")
    # one contiguous column at a time: sums must not depend on how many columns there are
    return np.column_stack([_z_score(np.ascontiguousarray(column)) for column in matrix.T])


def _z_score(column: np.ndarray) -> np.ndarray:
    mean = column.mean()
    centred = column - mean
    deviation = np.sqrt((centred * centred).mean())
    if deviation <= CONSTANT * max(1.0, abs(mean)):
        return np.zeros_like(column)
    return centred / deviation


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Return the rows of x [n, m] scaled to unit Euclidean length; a row of zeros stays as it is."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms > 0, norms, 1.0)


def quality(
    x: np.ndarray, labels: np.ndarray, kind: Quality = "density", *, k: int = 5, q_min: float = 1e-3
) -> np.ndarray:
    """Return how much every example is wanted for itself, float64 [n] in [q_min, 1].

    x: [n, m] standardised infoVerse. labels: [n] integers. With r the distance to the k-th nearest example of the
    same class (the farthest there is if there are fewer; of any class for an example alone in its class), the raw
    quality is 1 / (r + 1e-8) for "density" (crowded first: pruning), r for "inverse" (sparse first: active learning,
    annotation) and 1 for "uniform". It is then moved and scaled so that the least is q_min and the greatest 1; where
    all are equal, all are 1. Time O(n^2 m / C), memory O(n + block).
    """
    if kind not in QUALITIES:
        raise DatassayError(f"quality: unknown '{kind}'{did_you_mean(kind, QUALITIES)}")
    x = check_matrix(x, "infoverse")
    labels = check_labels(labels, rows=len(x))
    if kind == "uniform":
        return np.ones(len(x))
    distance = kth_distance_in_class(x, labels, k)
    raw = distance if kind == "inverse" else 1.0 / (distance + 1e-8)
    spread = raw.max() - raw.min()
    if spread == 0:
        return np.ones(len(x))
    return q_min + (1.0 - q_min) * ((raw - raw.min()) / spread)
