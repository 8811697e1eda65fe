"""From several answers per example to one label, and how far people agree."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from datassay.errors import DatassayError
from datassay.randomness import generator

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["majority", "mean", "dawid_skene"]
ITERATIONS, TOLERANCE = 1000, 1e-6


def aggregate(
    answers: "pd.DataFrame", method: Method, classes: int, bins: Sequence[float] | None = None
) -> "pd.DataFrame":
    """Return one label per example, in order of example_id: label, n_answers, confidence, disagreement, tie.

    answers: example_id, annotator, value, one row per (example, annotator). classes: C, or 0 where labels are numbers.

    - majority: the class most people said; ties are broken by chance, by the example alone, and marked.
    - dawid_skene: the most likely class under one confusion matrix per annotator, fitted by EM (Dawid & Skene, Applied
      Statistics 1979) as in crowd-kit.
    - mean: of the numbers said. Labels that are numbers: the mean itself. Classes with `bins` (C - 1 rising edges): the
      bin in which the mean lies, a mean on an edge in the upper one. Classes without: their numbers are averaged and
      rounded, halves upwards.

    label: int64 class number or float64. confidence: the share (dawid_skene: the probability) of that label, NaN of a
    mean. disagreement: probability that two answers to the example differ; of numbers their standard deviation
    (n - 1); NaN where one person answered. Time O(answers), dawid_skene O(answers C) per step.
    """
    import pandas as pd

    if not len(answers):
        kinds = {"example_id": str, "label": "int64" if classes else float, "n_answers": "int64"}
        kinds |= {"confidence": float, "disagreement": float, "tie": bool}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    ids, items = np.unique(answers["example_id"].to_numpy(str), return_inverse=True)
    values = answers["value"].to_numpy(np.float64)
    counts = np.bincount(items)
    numbers = classes == 0 or bins is not None
    shares = None if numbers else _shares(items, values.astype(np.int64), len(ids), classes)
    ties = np.zeros(len(ids), dtype=bool)
    confidence = np.full(len(ids), np.nan)
    if method == "mean":
        labels = _binned(np.bincount(items, values) / counts, classes, bins)
    else:
        assert shares is not None
        scores = shares if method == "majority" else _dawid_skene(ids, answers, classes)
        best = scores >= scores.max(axis=1, keepdims=True)
        ties = best.sum(axis=1) > 1
        labels = np.array([_one_of(row, example) for row, example in zip(best, ids, strict=True)])
        confidence = scores[np.arange(len(ids)), labels]
    spread = _deviation(items, values, counts) if shares is None else _differing(shares, counts)
    return pd.DataFrame(
        {
            "example_id": pd.Series(ids, dtype="str"),
            "label": labels,
            "n_answers": counts,
            "confidence": confidence,
            "disagreement": spread,
            "tie": ties,
        }
    )


def _shares(items: np.ndarray, classes: np.ndarray, n: int, n_classes: int) -> np.ndarray:
    """Return the share of each example's answers that name each class, float64 [n, C]."""
    votes = np.bincount(items * n_classes + classes, minlength=n * n_classes).reshape(n, n_classes)
    return votes / votes.sum(axis=1, keepdims=True)


def _one_of(best: np.ndarray, example: str) -> int:
    found = np.flatnonzero(best)
    return int(found[0] if len(found) == 1 else generator("tie", example).choice(found))


def _binned(means: np.ndarray, classes: int, bins: Sequence[float] | None) -> np.ndarray:
    if not classes:
        return means
    if bins is None:
        return np.floor(means + 0.5).astype(np.int64)
    return np.searchsorted(np.asarray(bins, dtype=np.float64), means, side="right").astype(np.int64)


def _dawid_skene(ids: np.ndarray, answers: "pd.DataFrame", classes: int) -> np.ndarray:
    """Return P(class) of every example in the order of ids, float64 [n, C]; a class that nobody named has 0."""
    import warnings

    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # crowd-kit still calls what pandas 4 will drop
        from crowdkit.aggregation import DawidSkene

        table = pd.DataFrame(
            {
                "task": answers["example_id"].to_numpy(str),
                "worker": answers["annotator"].to_numpy(str),
                "label": answers["value"].to_numpy().astype(np.int64),
            }
        ).sort_values(["task", "worker"])
        found = DawidSkene(n_iter=ITERATIONS, tol=TOLERANCE).fit_predict_proba(table)
    return found.reindex(index=ids, columns=range(classes), fill_value=0.0).to_numpy(np.float64)


def _differing(shares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the probability that two different answers to an example differ, NaN where there is only one."""
    alike = ((shares * counts[:, None]) ** 2).sum(axis=1) - counts
    pairs = counts * (counts - 1)
    return np.where(pairs > 0, 1 - alike / np.maximum(pairs, 1), np.nan)


def _deviation(items: np.ndarray, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the standard deviation (n - 1) of an example's numbers, NaN where there is only one."""
    return np.where(counts > 1, np.sqrt(_squares(items, values) / np.maximum(counts - 1, 1)), np.nan)


def annotator_quality(answers: "pd.DataFrame", labels: "pd.DataFrame", numbers: bool) -> "pd.DataFrame":
    """Return one row per annotator: answers, agreement and, where there are peers, peer_agreement; best first.

    agreement: share of their answers that are the aggregated label; of numbers the root mean squared distance to it
    (low is good). peer_agreement: the same with the other people's answers to the same examples, each pair counted
    alike, so that nobody agrees with themselves; NaN where nobody else answered.
    """
    import pandas as pd

    table = answers.merge(labels[["example_id", "label"]], on="example_id")
    distance = _distance(table["value"], table["label"], numbers)
    pairs = answers.merge(answers, on="example_id", suffixes=("", "_other"))
    pairs = pairs[pairs["annotator"] != pairs["annotator_other"]]
    apart = _distance(pairs["value"], pairs["value_other"], numbers)
    quality = pd.DataFrame(
        {
            "answers": table.groupby("annotator").size(),
            "agreement": distance.groupby(table["annotator"]).mean(),
            "peer_agreement": apart.groupby(pairs["annotator"]).mean(),
        }
    )
    for name in ("agreement", "peer_agreement"):
        quality[name] = np.sqrt(quality[name]) if numbers else 1 - quality[name]
    quality = quality.rename_axis("annotator").reset_index()
    return quality.sort_values(["agreement", "annotator"], ascending=[numbers, True], ignore_index=True)


def _distance(one: "pd.Series", other: "pd.Series", numbers: bool) -> "pd.Series":
    return (one - other) ** 2 if numbers else (one != other).astype(np.float64)


def krippendorff_alpha(answers: "pd.DataFrame", numbers: bool) -> float:
    """Return Krippendorff's alpha of all examples with at least two answers: 1 agreement, 0 that of chance.

    Nominal distance, or squared difference of numbers (Krippendorff, Content Analysis, 2004, chapter 11). NaN where no
    example has two answers, or where all of these are the same. O(answers) time: sums of squares instead of pairs.
    """
    items = np.unique(answers["example_id"].to_numpy(str), return_inverse=True)[1]
    paired = np.bincount(items)[items] > 1
    items, values = items[paired], answers["value"].to_numpy(np.float64)[paired]
    if not len(items):
        return float("nan")
    columns = [values] if numbers else [(values == value).astype(np.float64) for value in np.unique(values)]
    counts = np.maximum(np.bincount(items), 2)  # an example without answers adds nothing, whatever it is divided by
    observed = sum((_squares(items, column) * counts / (counts - 1)).sum() for column in columns) / len(items)
    expected = sum(((column - column.mean()) ** 2).sum() for column in columns) / (len(items) - 1)
    return float("nan") if expected == 0 else float(1 - observed / expected)


def _squares(items: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sum of squared distances of every example's values to their mean, float64 [n]."""
    means = np.bincount(items, values) / np.maximum(np.bincount(items), 1)
    return np.bincount(items, (values - means[items]) ** 2)


def check_bins(bins: Sequence[float] | None, classes: int) -> None:
    """Raise DatassayError unless the bins are one edge less than there are classes, rising."""
    if bins is not None and len(bins) != classes - 1:
        raise DatassayError(f"annotation.bins: {len(bins)} edges, {classes} classes need {classes - 1}")
