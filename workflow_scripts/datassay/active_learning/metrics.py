"""What a round's model is worth on the test split, class by class."""

from collections.abc import Sequence

import numpy as np

from datassay.training.scores import scores


def class_scores(
    logits: np.ndarray, labels: np.ndarray, names: Sequence[str], minority: Sequence[int]
) -> dict[str, float]:
    """Return the metrics of logits [n, C] against labels [n] in 0 .. C - 1.

    Those of `scores` (loss, accuracy, macro_f1, mcc, auroc, ece, with two classes f1); per class precision_{name},
    recall_{name} and f1_{name}, each 0 where it has no denominator; macro_precision and macro_recall over the classes
    that occur among labels or predictions, as macro_f1; minority_f1 (mean over the minority classes); and
    average_precision (mean over the minority classes that occur, 0 where none does). O(n C log n).
    """
    predicted, classes = logits.argmax(axis=1), len(names)
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    said, true = np.bincount(predicted, minlength=classes), np.bincount(labels, minlength=classes)
    precision, recall = hits / np.maximum(said, 1), hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(said + true, 1)
    present = said + true > 0
    found = scores(logits, labels)
    for name, *values in zip(names, precision, recall, f1, strict=True):
        found |= dict(zip((f"precision_{name}", f"recall_{name}", f"f1_{name}"), map(float, values), strict=True))
    return found | {
        "macro_precision": float(precision[present].mean()),
        "macro_recall": float(recall[present].mean()),
        "minority_f1": float(f1[list(minority)].mean()),
        "average_precision": _average_precision(logits, labels, minority),
    }


def _average_precision(logits: np.ndarray, labels: np.ndarray, minority: Sequence[int]) -> float:
    from sklearn.metrics import average_precision_score

    odds = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_p = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
    present = [c for c in minority if (labels == c).any()]
    return float(np.mean([average_precision_score(labels == c, log_p[:, c]) for c in present])) if present else 0.0


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of logits [n, C], float64."""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)
