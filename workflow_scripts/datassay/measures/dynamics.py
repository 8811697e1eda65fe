"""Training dynamics: how one model's view of every train example moved from epoch to epoch."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import NotApplicable
from datassay.measures._arrays import (
    Variant,
    best_rival,
    check_logits,
    check_variant,
    class_first_blocks,
    family_table,
    of_label,
    softmax,
)
from datassay.registry import Column, measure

if TYPE_CHECKING:
    import pandas as pd


@measure(
    version=1,
    source="Swayamdipta et al., EMNLP 2020; Toneva et al., ICLR 2019; Pleiss et al., NeurIPS 2020",
    columns=[
        Column("avg_conf", "mean over epochs of the probability of the label", mislabelled="low"),
        Column("variability", "standard deviation over epochs of the probability of the label"),
        Column("forgetting", "epochs at which a right prediction turned wrong", mislabelled="high"),
        Column("aum", "mean over epochs of the label's logit minus its best rival", mislabelled="low"),
        Column("correctness", "share of epochs after which it was predicted right", mislabelled="low"),
        Column("never_learned", "predicted wrong after every epoch", mislabelled="high"),
    ],
)
def training_dynamics(logits: np.ndarray, labels: np.ndarray, *, variant: Variant = "ours") -> "pd.DataFrame":
    """Confidence, variability, forgetting and area under the margin of every example over the epochs.

    logits: [E, n, C] floating point, the model in evaluation mode after each epoch; may be memory-mapped.
    labels: [n] integers in 0 .. C - 1.
    variant: "released" sets the label's own logit to 0 before the best rival of `aum` is taken, as the infoVerse
    code does (the rival is then never below 0).

    Returns avg_conf in [0, 1], variability in [0, 0.5], forgetting in 0 .. E (E where never right), aum in logits,
    correctness in [0, 1] and never_learned (boolean). Ties for the prediction go to the lowest class. With one class
    there is no rival and `aum` is absent. Time O(E n C), memory O(n + block).

    Raises DatassayError on shapes, labels or values that do not fit, NotApplicable with fewer than 2 epochs.
    """
    logits, labels = check_logits(logits, labels)
    released = check_variant(variant)
    epochs, n, classes = logits.shape
    if epochs < 2:
        raise NotApplicable(f"training dynamics need the logits of at least 2 epochs, {epochs} recorded")
    columns = {name: np.empty(n) for name in ("avg_conf", "variability", "correctness")}
    columns["forgetting"] = np.empty(n, dtype=np.int64)
    columns["aum"] = np.empty(n)
    columns["never_learned"] = np.empty(n, dtype=bool)
    for rows, z, y in class_first_blocks(logits, labels):
        confidence = of_label(softmax(z), y)
        columns["avg_conf"][rows] = confidence.mean(axis=0)
        columns["variability"][rows] = confidence.std(axis=0)
        right = z.argmax(axis=0) == y
        columns["correctness"][rows] = right.mean(axis=0)
        never = ~right.any(axis=0)
        columns["forgetting"][rows] = np.where(never, epochs, (right[:-1] & ~right[1:]).sum(axis=0))
        columns["never_learned"][rows] = never
        columns["aum"][rows] = (of_label(z, y) - best_rival(z, y, 0.0 if released else -np.inf)).mean(axis=0)
    absent = {}
    if classes < 2:
        del columns["aum"]
        absent["aum"] = "needs at least 2 classes"
    return family_table(columns, absent)
