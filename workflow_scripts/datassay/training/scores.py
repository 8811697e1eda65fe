"""Scores of a model from its logits: what is reported per epoch, split and pruning cell."""

from collections.abc import Iterable
from typing import get_args

import numpy as np

from datassay.config.data import Metric
from datassay.errors import DatassayError

ECE_BINS = 10


def scores(logits: np.ndarray, labels: np.ndarray, task: str = "classification") -> dict[str, float]:
    """Return every metric of logits [n, C] against labels [n]; rows without a label (-1, or NaN) do not count.

    Classification and multiple choice (labels are class or option numbers): loss (mean cross-entropy, nats), accuracy,
    macro_f1 (mean over the classes that occur among labels or predictions), mcc (Matthews correlation; Gorodkin 2004
    for more than two classes), auroc (two classes: of class 1; else the mean of one against the rest over the classes
    that have both), ece (expected calibration error, Guo et al. 2017: 10 equal-width bins of the highest probability),
    and with two classes f1 (of class 1).

    Regression (C = 1, predictions on the scale of the labels): loss (mean squared error), rmse, pearson, spearman.

    Always a number where a row is labelled: mcc, pearson and spearman are 0 where predictions or labels are constant,
    f1 is 0 where class 1 neither occurs nor is predicted, auroc is 0.5 where one class only occurs. NaN throughout
    where no row is labelled. Time O(n C log n).
    """
    if task == "regression":
        return _regression(logits[:, 0].astype(np.float64), labels.astype(np.float64))
    labelled = labels >= 0
    z, y = logits[labelled].astype(np.float64), labels[labelled].astype(np.int64)
    binary = z.shape[1] == 2
    if len(y) == 0:
        names = ("loss", "accuracy", "macro_f1", "mcc", "auroc", "ece", *(["f1"] if binary else []))
        return dict.fromkeys(names, float("nan"))
    shifted = z - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    p, predicted = np.exp(log_p), z.argmax(axis=1)
    found = {
        "loss": float(-log_p[np.arange(len(y)), y].mean()),
        "accuracy": float((predicted == y).mean()),
        "macro_f1": _macro_f1(predicted, y, z.shape[1]),
        "mcc": _mcc(predicted, y, z.shape[1]),
        "auroc": _auroc(z[:, 1] - z[:, 0], y == 1) if binary else _macro_auroc(log_p, y),
        "ece": _ece(p.max(axis=1), predicted == y),
    }
    return found | ({"f1": _f1(predicted, y)} if binary else {})


def group_scores(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Return the accuracy in every group ({group}_accuracy) and the lowest of them (worst_group_accuracy).

    logits [n, C], labels [n], groups [n] (names). Rows without a group (no text) do not count.
    """
    right = logits.argmax(axis=1) == labels
    known = np.array([isinstance(group, str) for group in groups], dtype=bool)
    found = {f"{group}_accuracy": float(right[groups == group].mean()) for group in sorted(set(groups[known]))}
    return found | ({"worst_group_accuracy": min(found.values())} if found else {})


def check_recorded(metric: str, recorded: Iterable[object], key: str = "metric") -> None:
    """Raise DatassayError where a metric is not among those that were recorded; key: where the config names it."""
    found = set(recorded)
    if metric not in found:
        allowed = ", ".join(name for name in get_args(Metric) if name in found)
        raise DatassayError(f"{key}: '{metric}' was not recorded (f1 only for two classes), allowed: {allowed}")


def _regression(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    from scipy.stats import rankdata

    known = np.isfinite(labels)
    if not known.any():
        return dict.fromkeys(("loss", "rmse", "pearson", "spearman"), float("nan"))
    f, y = predicted[known], labels[known]
    mse = float(((f - y) ** 2).mean())
    return {
        "loss": mse,
        "rmse": mse**0.5,
        "pearson": _correlation(f, y),
        "spearman": _correlation(rankdata(f), rankdata(y)),
    }


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


def _macro_f1(predicted: np.ndarray, labels: np.ndarray, classes: int) -> float:
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    counted = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)
    present = counted > 0
    return float((2 * hits[present] / counted[present]).mean())


def _f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    counted = int((predicted == 1).sum() + (labels == 1).sum())
    return 2 * int(((predicted == 1) & (labels == 1)).sum()) / counted if counted else 0.0


def _mcc(predicted: np.ndarray, labels: np.ndarray, classes: int) -> float:
    n, right = len(labels), int((predicted == labels).sum())
    said = np.bincount(predicted, minlength=classes).astype(np.float64)
    true = np.bincount(labels, minlength=classes).astype(np.float64)
    scale = (n**2 - said @ said) * (n**2 - true @ true)
    return float((right * n - said @ true) / np.sqrt(scale)) if scale > 0 else 0.0


def _macro_auroc(score: np.ndarray, labels: np.ndarray) -> float:
    present = [c for c in range(score.shape[1]) if 0 < (labels == c).sum() < len(labels)]
    return float(np.mean([_auroc(score[:, c], labels == c) for c in present])) if present else 0.5


def _auroc(score: np.ndarray, positive: np.ndarray) -> float:
    from scipy.stats import rankdata

    n_positive = int(positive.sum())
    if n_positive in (0, len(positive)):
        return 0.5
    above = rankdata(score)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * (len(positive) - n_positive)))


def _ece(confidence: np.ndarray, right: np.ndarray) -> float:
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    gap = np.bincount(bins, right, ECE_BINS) - np.bincount(bins, confidence, ECE_BINS)
    return float(np.abs(gap).sum() / len(right))
