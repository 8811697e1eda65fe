"""Static measures: where an example lies in the feature space of the trained model, and how sure that model is."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import DatassayError
from datassay.measures._arrays import (
    Variant,
    check_logits,
    check_matrix,
    check_variant,
    class_first_blocks,
    entropy,
    family_table,
    of_label,
    softmax,
)
from datassay.measures._density import check_k, kth_distance, relative_density
from datassay.registry import LABELLED, TASKS, Column, measure

if TYPE_CHECKING:
    import pandas as pd

CLASSES = ("classification",)


@measure(
    name="static",
    version=2,
    source="Kim et al., ACL 2023 (infoVerse); Ash et al., ICLR 2020 (BADGE)",
    columns=[
        Column("task_density", "minus the distance to the 5th nearest neighbour in the model's features"),
        Column(
            "relative_density", "distance to the nearest of the other classes minus of the own class", "low", CLASSES
        ),
        Column("confidence", "probability of the label by the final model", "low", LABELLED),
        Column("entropy", "entropy of the final model's prediction (nats)", "high", LABELLED),
        Column("badge_norm", "norm of the last layer's gradient for the predicted class", tasks=CLASSES),
    ],
    optional=["task", "feature_distances"],
    tasks=TASKS,
)
def static_measures(
    logits: np.ndarray,
    labels: np.ndarray,
    features: np.ndarray,
    task: str = "classification",
    feature_distances: np.ndarray | None = None,
    *,
    k: int = 5,
    variant: Variant = "ours",
) -> "pd.DataFrame":
    """Densities, confidence, entropy and BADGE norm of every example after the last epoch.

    logits: [E, n, C] of which the last epoch counts, or that epoch alone [n, C]; floating point.
    labels: [n] integers in 0 .. C - 1. features: [n, d] penultimate features, floating point.
    task: without classes (multiple_choice, regression) the columns that need them are left out; logits and labels of a
    regression are not looked at.
    feature_distances: [n, m] to the nearest other rows in features, nearest first; searched for here where they are
    not given, or are fewer than k.
    k: which neighbour gives a density (the farthest there is where there are fewer).
    variant: "released" takes the 2nd nearest neighbour in the other classes (relative_density) and the norm of
    (p - onehot(label)) * logits (badge_norm), as the infoVerse code does.

    Equal rows are at distance exactly 0. relative_density is 0 for an example alone in its class. task_density is
    absent with one example, relative_density with one class. Time O(n^2 d), memory O(n d + block); never n x n.

    Raises DatassayError on shapes, labels, values or options that do not fit.
    """
    if task != "regression":
        logits = np.asanyarray(logits)
        logits, labels = check_logits(logits[None] if logits.ndim == 2 else logits[-1:], labels)
        if len(logits) == 0:
            raise DatassayError("logits: no epoch was recorded, at least 1 is needed")
    features = check_matrix(features, "features", rows=len(labels))
    released = check_variant(variant)
    check_k(k)
    columns: dict[str, np.ndarray] = {}
    absent: dict[str, str] = {}
    if len(labels) > 1:
        columns["task_density"] = 0.0 - kth_distance(features, k, feature_distances)
    else:
        absent["task_density"] = "needs at least 2 examples"
    if task == "classification" and len(np.unique(labels)) > 1:
        rank = 2 if released else 1
        columns["relative_density"] = relative_density(features, labels, rank_in_others=rank)
    else:
        absent["relative_density"] = "needs examples of at least 2 classes"
    if task != "regression":
        columns |= _from_logits(logits, labels, features, released)
    return family_table(columns, absent)


def _from_logits(logits: np.ndarray, labels: np.ndarray, features: np.ndarray, released: bool) -> dict[str, np.ndarray]:
    columns = {name: np.empty(len(labels)) for name in ("confidence", "entropy", "badge_norm")}
    for rows, z, y in class_first_blocks(logits, labels):
        p = softmax(z)
        columns["confidence"][rows] = of_label(p, y)[0]
        columns["entropy"][rows] = entropy(p)[0]
        residual = p[:, 0].copy()
        residual[y if released else z[:, 0].argmax(axis=0), np.arange(len(y))] -= 1.0
        if released:
            columns["badge_norm"][rows] = np.sqrt(((residual * z[:, 0]) ** 2).sum(axis=0))
        else:
            width = np.linalg.norm(features[rows].astype(np.float64), axis=1)
            columns["badge_norm"][rows] = np.sqrt((residual * residual).sum(axis=0)) * width
    return columns
