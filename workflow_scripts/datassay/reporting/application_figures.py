"""What comes of the categories: noise found beside other detectors, retrained models, what is out of distribution."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from datassay.archaeology.outside import INSIDE, METHODS
from datassay.archaeology.treatments import TREATMENTS
from datassay.errors import NotApplicable
from datassay.reporting.columns import Guide, numeric_columns
from datassay.reporting.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    heading,
    label_bars,
    metric_name,
    new_figure,
    printable,
    readable,
    themed,
)
from datassay.reporting.tables import score_detection

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# column -> what it is called beside the others, in the order of the palette
NOISE_DETECTORS = {
    "noise_share": "MAP-D, against typical and ordinary",
    "share_random_outputs": "MAP-D, among all suites",
    "aum": "AUM",
    "avg_conf": "confidence",
    "ens_el2n": "EL2N",
    "mc_el2n": "EL2N (dropout)",
    "knn_shapley": "KNN-Shapley",
    "self_confidence": "confident learning",
}
LINES = (RED, ORANGE, BLUE, SKY, PURPLE, PURPLE, GREEN, BLACK)


def noise_table(measures: "pd.DataFrame", is_noisy: np.ndarray, guide: Guide) -> "pd.DataFrame":
    """Return how well MAP-D and the detectors of NOISE_DETECTORS find wrong labels, best first.

    measures: n train rows of the assay; is_noisy: [n] 1 wrong, 0 right, NaN unknown. Columns as `score_detection`
    returns, with `detector`, its name. EL2N over dropout passes is left out where there is one over seeds.
    """
    known = [name for name in NOISE_DETECTORS if name in measures]
    if "ens_el2n" in known:
        known = [name for name in known if name != "mc_el2n"]
    table = score_detection(measures[known], is_noisy, {name: guide[name] for name in known})
    table.insert(0, "detector", [NOISE_DETECTORS[name] for name in table["column"]])
    return table


@themed
def noise_detection(
    table: "pd.DataFrame", measures: "pd.DataFrame", is_noisy: np.ndarray, *, name: str = ""
) -> "Figure":
    """Draw AUROC and average precision of MAP-D and other detectors, and their precision over recall.

    table: as `noise_table` returns of the same measures.
    """
    if not len(table):
        raise NotApplicable(str(table.attrs.get("reason", "no label is known to be wrong")))
    wrong = int(table["n_noisy"].max())
    share = wrong / int(table["n"].max())
    figure = new_figure(
        11.5, 1.5 + 0.42 * max(len(table), 6), heading("wrong labels found by MAP-D and others", name),
        f"{wrong:,} of {int(table['n'].max()):,} train labels are known to be wrong ({share:.1%}). A share of votes "
        "has few values: equal ones count half.",
    )  # fmt: skip
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.35))
    colours = dict(zip(NOISE_DETECTORS, LINES, strict=True))
    shown = table.iloc[::-1]
    for axes, column, title in ((left, "auroc", "AUROC"), (middle, "average_precision", "average precision")):
        axes.barh(np.arange(len(shown)), shown[column], color=[colours[c] for c in shown["column"]], height=0.7)
        label_bars(axes, shown[column].tolist(), [f"{value:.3f}" for value in shown[column]], 0.01)
        axes.set(xlabel=title, xlim=(0, 1.18), xticks=np.arange(0, 1.01, 0.25))
        axes.set_yticks(np.arange(len(shown)), list(shown["detector"]) if axes is left else [])
        axes.grid(False, axis="y")
    numbers = numeric_columns(measures, dict.fromkeys(table["column"], ("", None)))
    for column, end in zip(table["column"], table["orientation"], strict=True):
        recall, precision = precision_recall(numbers[column].to_numpy() * (-1 if end == "low" else 1), is_noisy)
        right.plot(recall, precision, color=colours[column], linewidth=1.7)
    right.axhline(share, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    right.text(0.01, share, "chance", size=8, color=GREY, va="bottom")
    right.set(xlabel="recall of wrong labels", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    return figure


def precision_recall(score: np.ndarray, is_noisy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision at every distinct threshold, highest score first; rows of unknown truth left out."""
    used = np.isfinite(is_noisy) & np.isfinite(score)
    order = np.argsort(-score[used], kind="stable")
    ordered, wrong = score[used][order], is_noisy[used][order] == 1
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    found = np.cumsum(wrong)[ends]
    return found / found[-1], found / (ends + 1)


@themed
def treatments(
    application: str,
    table: "pd.DataFrame",
    results: "Mapping[str, pd.DataFrame]",
    metric: str = "accuracy",
    *,
    name: str = "",
) -> "Figure":
    """Draw a metric of every treatment on the test split, a dot per seed, and over the epochs where these were kept.

    table, results: as `compare_treatments` takes and returns.
    """
    metrics = [metric, "worst_group_accuracy"] if application == "minority_groups" else [metric]
    curves = all("epoch" in result for result in results.values())
    panels = len(metrics) + curves
    figure = new_figure(
        4.6 * max(panels, 1) + 1.5, 3.6, heading(application.replace("_", " "), name),
        "Test split. Bars: mean over seeds, a dot per seed, the number is the mean.",
    )  # fmt: skip
    row = figure.subplots(1, panels, squeeze=False)[0]
    names = list(TREATMENTS[application])
    colours = dict(zip(names, (GREY, BLUE, GREEN), strict=False))
    for axes, shown in zip(row, metrics, strict=False):
        _dots(axes, shown, names, results, colours)
    if curves:
        _curves(row[-1], metric, names, table, results, colours)
    return figure


def _dots(
    axes: "Axes", metric: str, names: list[str], results: "Mapping[str, pd.DataFrame]", colours: Mapping[str, str]
) -> None:
    values = []
    for place, treated in enumerate(names):
        result = results[treated]
        last = result[result["epoch"] == result["epoch"].max()] if "epoch" in result else result
        own = last[metric].to_numpy()
        values.append(own)
        axes.bar(place, own.mean(), color=colours[treated], alpha=0.55, width=0.62)
        axes.plot(place + np.linspace(-0.12, 0.12, len(own)), own, "o", color=colours[treated], markersize=5)
        axes.text(place, own.max(), f"{own.mean():.3f}\n", ha="center", va="bottom", size=9, linespacing=0.4)
    every = np.concatenate(values)
    room = max(float(np.ptp(every)), 0.01)
    axes.set_xticks(range(len(names)), [readable(treated) for treated in names])
    axes.set(ylabel=f"test {metric_name(metric)}", ylim=(max(0, every.min() - room), every.max() + 0.5 * room))
    axes.grid(False, axis="x")


def _curves(
    axes: "Axes",
    metric: str,
    names: list[str],
    table: "pd.DataFrame",
    results: "Mapping[str, pd.DataFrame]",
    colours: Mapping[str, str],
) -> None:
    for treated in names:
        groups = results[treated].groupby("epoch")[metric]
        mean, spread = groups.mean(), groups.std(ddof=0)
        axes.fill_between(mean.index, mean - spread, mean + spread, color=colours[treated], alpha=0.18, linewidth=0)
        axes.plot(mean.index, mean, color=colours[treated], linewidth=1.8, label=readable(treated))
    level = float(table.loc[(table["treatment"] == names[0]) & (table["metric"] == metric), "mean"].iloc[0])
    axes.axhline(level, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    reached = table.set_index(["treatment", "metric"]).get("epochs_to_reach")
    if reached is not None:
        parts = [f"{t}: {reached[(t, metric)]:.0f}" for t in names if np.isfinite(reached[(t, metric)])]
        axes.set_title(f"epochs to the dashed level: {', '.join(parts)}", size=9, weight="normal")
    axes.set(xlabel="epoch (steps of as many rows)", ylabel=f"test {metric_name(metric)}")
    axes.legend(loc="lower right")


@themed
def outside(scores: "pd.DataFrame", table: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw the ROC curves of every method that tells what is out of distribution.

    scores, table: as `outside_scores` and `outside_table` return.
    """
    suites = list(dict.fromkeys(table["suite"]))
    figure = new_figure(
        4.3 * len(suites) + 0.8, 4.6, heading("what is out of distribution", name),
        "Rows that no model learnt from: held-out rows against unseen probes. Trajectories are compared with those of "
        "a reference of either kind.",
    )  # fmt: skip
    for axes, suite in zip(figure.subplots(1, len(suites), squeeze=False)[0], suites, strict=True):
        wanted = suites if suite == "all" else [suite]
        own = scores[scores["suite"].isin([INSIDE, *wanted])]
        for method, colour in zip(METHODS, (GREY, BLUE, RED), strict=True):
            found = table[(table["suite"] == suite) & (table["method"] == method)].iloc[0]
            falsely, truly = roc(own[method].to_numpy(), (own["suite"] != INSIDE).to_numpy())
            label = f"{printable(method.replace('_', ' '))}: {found['auroc']:.3f}"
            axes.plot(falsely, truly, color=colour, linewidth=1.8, label=label)
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=(0, (4, 3)), linewidth=1)
        axes.set_title(f"{readable(suite)} ({int(found['outside'])} against {int(found['inside'])})")
        axes.set(xlabel="held-out rows taken for outside", ylabel="outside found", xlim=(0, 1), ylim=(0, 1.01))
        axes.legend(loc="lower right", title="AUROC", alignment="left")
    return figure


def roc(score: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the false and true positive rates at every distinct threshold, from 0 to 1, highest score first."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true, false = np.cumsum(positive[order])[ends], np.cumsum(~positive[order])[ends]
    return np.append(0, false / false[-1]), np.append(0, true / true[-1])
