"""Scores of a classifier from its logits."""

import numpy as np


def scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return loss (mean cross-entropy, nats), accuracy and macro_f1 of logits [n, C] against labels [n].

    Rows with a negative label do not count; macro_f1 is the mean over the classes that occur among the labels or the
    predictions. NaN where no row is labelled.
    """
    labelled = labels >= 0
    z, y = logits[labelled].astype(np.float64), labels[labelled]
    if len(y) == 0:
        return {"loss": np.nan, "accuracy": np.nan, "macro_f1": np.nan}
    peak = z.max(axis=1)
    log_normaliser = np.log(np.exp(z - peak[:, None]).sum(axis=1)) + peak
    predicted = z.argmax(axis=1)
    return {
        "loss": float((log_normaliser - z[np.arange(len(y)), y]).mean()),
        "accuracy": float((predicted == y).mean()),
        "macro_f1": _macro_f1(predicted, y, z.shape[1]),
    }


def _macro_f1(predicted: np.ndarray, labels: np.ndarray, classes: int) -> float:
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    counted = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)
    present = counted > 0
    return float((2 * hits[present] / counted[present]).mean())
