"""How well the categories of held-out probes are found."""

from typing import Any

import numpy as np


def evaluate(planted: np.ndarray, assigned: np.ndarray, categories: list[str]) -> dict[str, Any]:
    """Return accuracy, confusion matrix, and precision and recall of every category.

    planted, assigned: categories [P] of probes that did not vote. confusion: {planted: {assigned: count}}. Precision of
    a category that nothing was assigned to, and recall of one without probes, are None. chance: the accuracy of
    guessing the most frequent category.
    """
    counts = np.array([[int(((planted == a) & (assigned == b)).sum()) for b in categories] for a in categories])
    hits, said, true = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    total = int(counts.sum())
    return {
        "n": total,
        "accuracy": float(hits.sum() / total) if total else None,
        "chance": float(true.max() / total) if total else None,
        "confusion": {
            a: dict(zip(categories, map(int, row), strict=True)) for a, row in zip(categories, counts, strict=True)
        },
        "precision": {c: _share(h, n) for c, h, n in zip(categories, hits, said, strict=True)},
        "recall": {c: _share(h, n) for c, h, n in zip(categories, hits, true, strict=True)},
    }


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
