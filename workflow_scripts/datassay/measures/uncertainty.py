"""Uncertainty from several predictions of one example: the seeds of an ensemble or passes with dropout left on.

Which end a wrong label tends to: measures that look at the given label need no argument (EL2N, Paul et al. 2021).
Predictive entropy and the variation ratio do not look at it, but a wrong label pulls the prediction away from what the
neighbours say and leaves it uncertain (Koehler et al., CVPR workshops 2019), so they count as "high". BALD and the
spread of the confidence measure disagreement, for which the literature has no settled direction.
"""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import NotApplicable
from datassay.measures._arrays import (
    Variant,
    check_logits,
    check_variant,
    class_first_blocks,
    entropy,
    family_table,
    of_label,
    softmax,
)
from datassay.registry import Column, measure

if TYPE_CHECKING:
    import pandas as pd


def _columns(prefix: str, over: str) -> list[Column]:
    return [
        Column(f"{prefix}_el2n", f"mean over {over} of the distance of the probabilities to the label", "high"),
        Column(f"{prefix}_entropy", f"entropy of the probabilities averaged over {over} (nats)", "high"),
        Column(f"{prefix}_bald", f"mutual information between prediction and model over {over} (nats)"),
        Column(f"{prefix}_variation_ratio", f"share of {over} that disagree with the majority vote", "high"),
        Column(f"{prefix}_avg_conf", f"mean over {over} of the probability of the label", "low"),
        Column(f"{prefix}_variability", f"standard deviation over {over} of the probability of the label"),
    ]


@measure(
    name="ensemble",
    version=1,
    source="Lakshminarayanan et al., NeurIPS 2017; Paul et al., NeurIPS 2021; Houlsby et al. 2011 (BALD)",
    columns=_columns("ens", "seeds"),
    arrays={"logits": "ensemble_logits"},
)
def ensemble_uncertainty(logits: np.ndarray, labels: np.ndarray, *, variant: Variant = "ours") -> "pd.DataFrame":
    """Disagreement and confidence of models trained with different seeds.

    logits: [S, n, C] floating point, the last epoch of every seed; may be memory-mapped. labels: [n] integers.
    variant: "released" gives the variation ratio as a count of seeds, as the infoVerse code does, not as a share.

    Returns ens_el2n, ens_entropy, ens_bald, ens_variation_ratio, ens_avg_conf and ens_variability.
    Time O(S n C), memory O(n + block). Raises DatassayError on inputs that do not fit, NotApplicable if S < 2.
    """
    logits, labels = check_logits(logits, labels, "ensemble_logits")
    if len(logits) < 2:
        raise NotApplicable(f"an ensemble needs at least 2 seeds, {len(logits)} trained")
    return _uncertainty(logits, labels, "ens", "ensemble_logits", check_variant(variant))


@measure(
    name="mc_dropout",
    version=1,
    source="Gal & Ghahramani, ICML 2016; Houlsby et al. 2011 (BALD)",
    columns=_columns("mc", "dropout passes"),
    arrays={"logits": "mc_logits"},
)
def mc_dropout_uncertainty(logits: np.ndarray, labels: np.ndarray, *, variant: Variant = "ours") -> "pd.DataFrame":
    """Disagreement and confidence of one model's passes with dropout left on.

    logits: [M, n, C] floating point, M passes of the last epoch of the first seed, M = 0 where the model has no
    dropout layer; may be memory-mapped. labels: [n] integers. variant: as in `ensemble_uncertainty`.

    Returns mc_el2n, mc_entropy, mc_bald, mc_variation_ratio, mc_avg_conf and mc_variability.
    Time O(M n C), memory O(n + block). Raises DatassayError on inputs that do not fit, NotApplicable if M < 2.
    """
    logits, labels = check_logits(logits, labels, "mc_logits")
    if len(logits) == 0:
        raise NotApplicable("the model has no dropout layer")
    if len(logits) < 2:
        raise NotApplicable("at least 2 dropout passes are needed, 1 recorded")
    return _uncertainty(logits, labels, "mc", "mc_logits", check_variant(variant))


def _uncertainty(logits: np.ndarray, labels: np.ndarray, prefix: str, name: str, released: bool) -> "pd.DataFrame":
    passes, n, classes = logits.shape
    names = ("el2n", "entropy", "bald", "variation_ratio", "avg_conf", "variability")
    columns = {column: np.empty(n) for column in names}
    for rows, z, y in class_first_blocks(logits, labels, name):
        p = softmax(z)
        confidence = of_label(p, y)
        mean_entropy = entropy(p).mean(axis=0)
        total_entropy = entropy(p.mean(axis=1))
        votes = (z.argmax(axis=0) == np.arange(classes)[:, None, None]).sum(axis=1)
        against = passes - votes.max(axis=0)
        p[y, :, np.arange(len(y))] -= 1.0
        columns["el2n"][rows] = np.sqrt((p * p).sum(axis=0)).mean(axis=0)
        columns["entropy"][rows] = total_entropy
        columns["bald"][rows] = np.maximum(total_entropy - mean_entropy, 0.0)
        columns["variation_ratio"][rows] = against if released else against / passes
        columns["avg_conf"][rows] = confidence.mean(axis=0)
        columns["variability"][rows] = confidence.std(axis=0)
    return family_table({f"{prefix}_{column}": values for column, values in columns.items()})
