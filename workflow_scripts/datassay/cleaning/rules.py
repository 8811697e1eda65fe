"""Which rows to keep: by a threshold, or by the share that serves half of the valuation split best."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from datassay.cleaning.nearest import knn_accuracies
from datassay.errors import DatassayError
from datassay.randomness import generator

if TYPE_CHECKING:
    import pandas as pd

Rule = Literal["threshold", "quantile"]
Split = tuple[np.ndarray, np.ndarray]


def known_wrong(examples: "pd.DataFrame") -> np.ndarray | None:
    """Return 1.0 where a given label differs from the true one, 0.0 where not, NaN where that is unknown, [n].

    examples: label and, where any is known, true_label (negative: unknown). None without that column.
    """
    if "true_label" not in examples:
        return None
    true = examples["true_label"].fillna(-1).to_numpy(dtype=np.int64)
    return np.where(true >= 0, (examples["label"].to_numpy() != true).astype(float), np.nan)


def keep_by_threshold(scores: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """Return which rows score above the threshold, bool [n]: value <= 0 is dropped."""
    return scores > threshold


def keep_by_share(scores: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return all rows but the round(share * n) that score lowest, bool [n]; equal scores in random order."""
    order = np.lexsort((rng.permutation(len(scores)), scores))
    keep = np.ones(len(scores), dtype=bool)
    keep[order[: round(share * len(scores))]] = False
    return keep


def decide(
    scores: np.ndarray,
    train: Split,
    valuation: Split,
    test: Split,
    *,
    rule: Rule,
    threshold: float,
    shares: Sequence[float],
    k: int,
    seed: int,
    wrong: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return which train rows to keep, bool [n], and what is known of the choice.

    scores: [n], low = to be dropped first. train, valuation, test: (vectors, class numbers). rule: "threshold" drops
    scores <= threshold; "quantile" drops the one of 0 and `shares` with the highest K-NN accuracy on one half of the
    valuation split (the smaller one where equal), whose other half serves the report alone. k: of that classifier,
    which is also the K-NN check on the test split. wrong: [n] 1.0 wrong label, 0.0 right, NaN unknown.

    The report: n, n_dropped, share, rule, threshold or candidates (share, n_kept, knn_choosing, knn_reporting,
    knn_test: the accuracies), before and after (the same accuracies), and precision and recall of the dropped rows
    among the labels known to be wrong, where any is. The test split chooses nothing.
    Raises DatassayError where fewer than 2 classes would be left, or 1 where there is only one, and for the rule
    quantile without valuation rows.
    """
    if rule == "quantile" and not len(valuation[1]):
        raise DatassayError(
            "cleaning: the rule quantile chooses on the valuation split, which has no row: set split.valuation of the "
            "data set above 0, or leave the rule out"
        )
    choosing, reporting = class_halves(valuation[1], generator(seed, "cleaning halves"))
    splits = {
        "knn_choosing": (valuation[0][choosing], valuation[1][choosing]),
        "knn_reporting": (valuation[0][reporting], valuation[1][reporting]),
        "knn_test": test,
    }
    masks = {share: keep_by_share(scores, share, generator(seed, "cleaning ties")) for share in [0.0, *sorted(shares)]}
    above = keep_by_threshold(scores, threshold)
    stacked = np.stack([above, *masks.values()])
    accuracies = {name: knn_accuracies(*train, *split, stacked, k) for name, split in splits.items()}
    rows = [
        {"n_kept": int(mask.sum()), **{name: _known(values[i]) for name, values in accuracies.items()}}
        for i, mask in enumerate(stacked)
    ]
    candidates = [{"share": share, **row} for share, row in zip(masks, rows[1:], strict=True)]
    if rule == "threshold":
        keep, after = above, rows[0]
    else:
        best = max(range(len(candidates)), key=lambda i: (candidates[i]["knn_choosing"] or 0.0, -i))
        keep, after = stacked[best + 1], rows[best + 1]
    _check_kept(keep, train[1], rule, threshold)
    dropped = int((~keep).sum())
    report = {
        "rule": rule,
        "threshold": threshold,
        "k": k,
        "n": len(keep),
        "n_dropped": dropped,
        "share_dropped": dropped / len(keep),
        "before": rows[1],
        "after": after,
        "candidates": candidates,
        "known_noise": _noise_report(~keep, wrong),
    }
    return keep, report


def class_halves(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of two random halves, int64, every class divided as evenly as it can be."""
    order = np.lexsort((rng.permutation(len(labels)), labels))
    return np.sort(order[::2]), np.sort(order[1::2])


def _known(accuracy: float) -> float | None:
    return None if np.isnan(accuracy) else float(accuracy)


def _check_kept(keep: np.ndarray, labels: np.ndarray, rule: Rule, threshold: float) -> None:
    left = len(np.unique(labels[keep]))
    if left < min(2, len(np.unique(labels))):
        cut, fix = f"threshold {threshold:g}", "lower cleaning.threshold, or leave threshold out of cleaning.rules"
        if rule == "quantile":
            cut, fix = "the chosen share", "leave the largest of cleaning.shares out"
        raise DatassayError(
            f"cleaning: {cut} keeps {int(keep.sum())} of {len(keep)} rows of {left} classes, at least 2 are needed: "
            f"{fix}"
        )


def _noise_report(dropped: np.ndarray, wrong: np.ndarray | None) -> dict[str, float | int | None] | None:
    """Precision and recall of what was dropped among the rows whose label is known to be right or wrong."""
    known = np.isfinite(wrong) if wrong is not None else np.zeros(0, dtype=bool)
    if wrong is None or not known.any() or not (wrong[known] == 1).any():
        return None
    hits = int((dropped & known & (wrong == 1)).sum())
    flagged, noisy = int((dropped & known).sum()), int((wrong[known] == 1).sum())
    return {"n_noisy": noisy, "precision": hits / flagged if flagged else None, "recall": hits / noisy}
