"""How a model that predicts numbers came to terms with every label, where other families need classes."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import DatassayError
from datassay.measures._arrays import check_finite, check_matrix, family_table
from datassay.registry import Column, measure

if TYPE_CHECKING:
    import pandas as pd


@measure(
    version=1,
    source="Swayamdipta et al., EMNLP 2020 and Lakshminarayanan et al., NeurIPS 2017, for numbers; Allen 1974 (PRESS)",
    columns=[
        Column("mean_abs_error", "mean over epochs of the distance of the prediction to the label", "high"),
        Column("prediction_variability", "standard deviation over epochs of the prediction"),
        Column("final_prediction", "prediction of the final model, on the scale of the labels"),
        Column("final_abs_error", "distance of the final model's prediction to the label", "high"),
        Column("ens_prediction", "mean over seeds of the final prediction"),
        Column("ens_abs_error", "distance of the mean over seeds of the prediction to the label", "high"),
        Column("ens_std", "standard deviation over seeds of the prediction"),
        Column("mc_std", "standard deviation over dropout passes of the prediction"),
        Column("held_out_error", "distance to the label of a ridge regression that never saw the example", "high"),
    ],
    tasks=["regression"],
)
def regression_dynamics(
    logits: np.ndarray,
    ensemble_logits: np.ndarray,
    mc_logits: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    strength: float = 1.0,
) -> "pd.DataFrame":
    """Errors and spread of the predictions of a regression over epochs, seeds and dropout passes.

    logits: [E, n, 1], after every epoch of the first seed; ensemble_logits: [S, n, 1], last epoch of every seed;
    mc_logits: [M, n, 1], M may be 0. All floating point, predictions on the scale of the labels. features: [n, d].
    labels: [n] finite numbers. strength: L2 penalty of the ridge regression behind held_out_error, see
    `leave_one_out_errors`.

    Columns have the unit of the labels. Absent: the two over epochs with fewer than 2 epochs, ens_* with fewer than 2
    seeds, mc_std with fewer than 2 passes, held_out_error with fewer than 3 rows. Time O((E + S + M) n) and that of
    `leave_one_out_errors`, memory O((E + S + M) n + n d). Raises DatassayError on inputs that do not fit.
    """
    labels = np.asarray(labels, dtype=np.float64)
    check_finite(labels, "labels")
    epochs, seeds, passes = (
        _predictions(array, name, len(labels))
        for array, name in ((logits, "logits"), (ensemble_logits, "ensemble_logits"), (mc_logits, "mc_logits"))
    )
    if not len(epochs):
        raise DatassayError("logits: no epoch was recorded, at least 1 is needed")
    columns = {"final_prediction": epochs[-1], "final_abs_error": np.abs(epochs[-1] - labels)}
    absent: dict[str, str] = {}
    if len(epochs) > 1:
        columns["mean_abs_error"] = np.abs(epochs - labels).mean(axis=0)
        columns["prediction_variability"] = epochs.std(axis=0)
    else:
        absent |= dict.fromkeys(("mean_abs_error", "prediction_variability"), "needs at least 2 epochs, 1 recorded")
    if len(seeds) > 1:
        columns["ens_prediction"] = seeds.mean(axis=0)
        columns["ens_abs_error"] = np.abs(seeds.mean(axis=0) - labels)
        columns["ens_std"] = seeds.std(axis=0)
    else:
        names = ("ens_prediction", "ens_abs_error", "ens_std")
        absent |= dict.fromkeys(names, f"an ensemble needs at least 2 seeds, {len(seeds)} trained")
    if len(passes) > 1:
        columns["mc_std"] = passes.std(axis=0)
    else:
        absent["mc_std"] = "the model has no dropout layer" if not len(passes) else "needs at least 2 dropout passes"
    if len(labels) > 2:
        columns["held_out_error"] = leave_one_out_errors(features, labels, strength)
    else:
        absent["held_out_error"] = "needs at least 3 examples"
    return family_table(columns, absent)


def leave_one_out_errors(features: np.ndarray, labels: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Return |label - prediction| of ridge regressions that each were fitted without the example, float64 [n].

    The fit is on features [n, d] with every column centred and scaled (constant columns dropped) and an intercept; the
    penalty is strength * n times the squared norm of the weights. Exact, from one fit: the residual divided by
    1 - h_ii, h the hat matrix of the centred problem plus 1/n (Allen 1974). Scale and centre are those of all rows.
    Time O(n d min(n, d)). Raises DatassayError on inputs that do not fit.
    """
    if not strength > 0:
        raise DatassayError(f"strength: {strength}, allowed are numbers above 0")
    x = check_matrix(features, "features", rows=len(labels)).astype(np.float64)
    x = x - x.mean(axis=0)
    scale = x.std(axis=0)
    x = x[:, scale > 0] / scale[scale > 0]
    n = len(x)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    shrink = values**2 / (values**2 + strength * n)
    centred = labels - labels.mean()
    residual = centred - (left * shrink) @ (left.T @ centred)
    hat = (left**2 * shrink).sum(axis=1) + 1 / n
    return np.abs(residual / (1 - hat))


def _predictions(logits: np.ndarray, name: str, rows: int) -> np.ndarray:
    """Return [T, n] float64 of recorded predictions [T, n, 1]."""
    logits = np.asarray(logits)
    if logits.ndim != 3 or logits.shape[1:] != (rows, 1) or logits.dtype.kind != "f":
        raise DatassayError(
            f"{name}: {logits.dtype} of shape {logits.shape}, expected floating point [passes, {rows}, 1]"
        )
    check_finite(logits, name, row_axis=1)
    return logits[:, :, 0].astype(np.float64)
