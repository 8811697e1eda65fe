"""What is printed at the end of a run."""

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from datassay.reporting.columns import FLAG, content_text, count_flagged
from datassay.reporting.style import metric_name
from datassay.training.scores import check_recorded

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 100
WEAK = 0.2  # a model that takes less of the way from guessing to perfect


def final_score(metrics: "pd.DataFrame", metric: str = "accuracy", split: str = "test") -> tuple[float, float, int]:
    """Return mean and population standard deviation over seeds of a metric after the last epoch, and the seeds.

    metrics: seed (one is assumed where the column is missing), epoch, split, the metric. NaN, NaN, 0 without such rows.
    """
    rows = metrics[metrics["split"] == split]
    if not len(rows):
        return float("nan"), float("nan"), 0
    seeds = rows["seed"] if "seed" in rows else np.zeros(len(rows), dtype=int)
    last = rows.sort_values("epoch").groupby(np.asarray(seeds)[np.argsort(rows["epoch"], kind="stable")])[metric]
    found = last.last().to_numpy(dtype=float)
    return float(found.mean()), float(found.std()), len(found)


def largest_class(assay: "pd.DataFrame", split: str = "test") -> float | None:
    """Return the share of the largest class in a split, None where there are no classes or no rows."""
    labels = assay["label"][assay["split"] == split].dropna()
    if not len(labels) or labels.dtype.kind == "f":
        return None
    return float(labels.value_counts(normalize=True).iloc[0])


def summary_text(
    dataset: str,
    folder: str,
    suspicious: "pd.DataFrame",
    metrics: Mapping[str, "pd.DataFrame"],
    detection: "pd.DataFrame | None" = None,
    *,
    metric: str = "accuracy",
    guess: float | None = None,
    files: Sequence[str] = (),
    absent: Mapping[str, str] | None = None,
    examples: int = 5,
    width: int = WIDTH,
) -> str:
    """Return the findings on one data set as plain text, no line wider than `width` columns of a terminal.

    folder: where its results are. suspicious: as `list_suspicious` returns.
    metrics: {model: the metric per seed, epoch and split}. detection: as `score_detection` returns.
    guess: accuracy on the test split of always saying its largest class. files: those to open first.
    absent: columns, families and values that could not be computed, with the reason. examples: how many suspicious
    ones to show.
    """
    lines = [f"{dataset}  ->  {folder}"]
    for model, table in metrics.items():
        check_recorded(metric, table, f"datasets[{dataset}].metric")
        mean, spread, seeds = final_score(table, metric)
        if seeds:
            spread_text = f" ± {spread:.3f} ({seeds} seeds)" if seeds > 1 else ""
            lines.append(f"  test {metric_name(metric)} of {model}: {mean:.3f}{spread_text}{_beside(table, metric)}")
            if guess is not None and final_score(table)[0] < guess + WEAK * (1 - guess):
                lines.append(f"  {model} is weak: always saying the largest class gives {guess:.3f} accuracy.")
                lines.append("  What it says about labels is little worth: train it longer, or take another model")
    if detection is not None and len(detection):
        stated = detection[detection["orientation"].isin(["low", "high"])]
        best = (stated if len(stated) else detection).iloc[0]
        lines.append(
            f"  known wrong labels: {best['n_noisy']:,} of {best['n']:,}; found best by {best['column']}: "
            f"AUROC {best['auroc']:.3f}, AP {best['average_precision']:.3f}"
        )
    flagged = count_flagged(suspicious)
    if flagged:
        count = f" ({flagged:,} of {len(suspicious):,} flagged)" if FLAG in suspicious else ""
        lines.append(f"  most likely mislabelled{count}:")
        lines += [f"    {line}" for line in _aligned(_cells(suspicious.head(examples)), width - 4)]
    elif len(suspicious):
        lines.append("  most likely mislabelled: none, no other label is more likely than the given one")
    lines += [f"  {'open:' if not i else '     '} {file}" for i, file in enumerate(files)]
    for reason, names in _by_reason(absent or {}).items():
        text = f"left out: {', '.join(names)} ({reason})"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(_fit(line, width).rstrip() for line in lines) + "\n"


def _beside(table: "pd.DataFrame", metric: str) -> str:
    """Return the usual metric of the task where another one leads."""
    usual = "spearman" if metric == "pearson" else "pearson" if metric == "spearman" else "accuracy"
    if usual == metric or usual not in table:
        return ""
    return f", {metric_name(usual)} {final_score(table, usual)[0]:.3f}"


def _by_reason(absent: Mapping[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, reason in absent.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _cells(suspicious: "pd.DataFrame") -> list[list[str]]:
    """Return header and rows; the last column is what may be cut."""
    shown = {"rank": "#", "label": "given", "suggested_label": "suggested", "true_label": "true"}
    names = [name for name in shown if name in suspicious]
    rows = [[*(shown[name] for name in names), "example"]]
    for _, row in suspicious.iterrows():
        labels = [str(row[name]) if row[name] == row[name] and row[name] is not None else "-" for name in names]
        rows.append([*labels, content_text(row)])
    return rows


def _aligned(rows: list[list[str]], width: int) -> list[str]:
    """Lay cells out in columns: labels get at most 22 each, the last column what is left."""
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [min(22, max(columns_of(row[i]) for row in rows)) for i in range(len(rows[0]) - 1)]
    widths.append(max(10, width - sum(widths) - 2 * len(widths)))
    return ["  ".join(_pad(_fit(cell, w), w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters 2, combining and invisible ones 0."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fit(text: str, width: int) -> str:
    """Cut a text to so many columns, with an ellipsis; control characters are dropped."""
    text = "".join(character for character in text if unicodedata.category(character) not in ("Cc", "Cf", "Cs"))
    if columns_of(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += _columns(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - columns_of(text))
