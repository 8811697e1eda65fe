"""Figures about the rounds of annotation: what the model learnt, how people agree, how the classes fill."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import NotApplicable, counted
from datassay.reporting.style import (
    BLACK,
    BLUE,
    DARK,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    heading,
    metric_name,
    new_figure,
    printable,
    themed,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARMS = {
    "annotated": ("labelled by people", BLUE),
    "annotated_true": ("the same rows, true labels", SKY),
    "uncertainty": ("most uncertain rows, true labels", ORANGE),
    "random": ("random rows, true labels", BLACK),
}
MOST_PEOPLE = 20
MOST_CLASSES = 12
CLASS_COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#8C6D1F", "#7A5195", GREY, "#8FB8D8", "#F2C572", "#7FCBB3")


@themed
def annotation_progress(budget: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw a metric against the number of rows labelled, round by round, beside other ways of choosing.

    budget: as `annotation.summary.budget_table` returns it. A way of choosing that stands in round 0 alone is left out:
    all are one there, and the true labels that it needs are not known.
    """
    rounds = np.unique(budget["round"])
    if len(rounds) < 2:
        raise NotApplicable("no round came back yet")
    metric = f"{budget['split'].iloc[0]} {metric_name(budget['metric'].iloc[0])}"
    followed = set(budget.loc[budget["n_labelled"] > 0, "arm"])
    text = "Retrained on the train rows and all that was labelled up to a round; bars: standard deviation over seeds."
    figure = new_figure(8.0, 4.9, heading("annotation progress", name), text)
    axes = figure.add_subplot()
    axes.margins(x=0.03)
    for arm, (title, colour) in ARMS.items():
        rows = budget[budget["arm"] == arm].sort_values("round")
        if arm in followed:
            line, _, _ = axes.errorbar(
                rows["n_labelled"], rows["mean"], rows["std"].fillna(0), color=colour, label=title, zorder=3,
                linestyle="--" if arm == "annotated_true" else "-", marker="o", markersize=5, capsize=3,
            )  # fmt: skip
            line.set_clip_on(False)  # whole points at 1
    axes.set(xlabel="rows of the pool labelled", ylabel=metric)
    _within_the_metric(axes, budget["mean"])
    if len(followed) > 1:
        axes.legend(loc="lower right")
    return figure


def _within_the_metric(axes: "Axes", values: "pd.Series") -> None:
    """Cut the margins of an axis at 1, which no metric of a data set exceeds, and at 0 where no value is below."""
    low, high = axes.get_ylim()
    axes.set_ylim(low if values.min() < 0 else max(low, 0), min(high, 1))


@themed
def annotation_agreement(
    rounds: "pd.DataFrame", answers: "pd.DataFrame", labels: "pd.DataFrame", numbers: bool, *, name: str = ""
) -> "Figure":
    """Draw how far people agree: Krippendorff's alpha per round, what examples are disputed, and every annotator.

    rounds: as `annotation.summary.round_table` returns it; answers, labels: as merged. Where no example was answered by
    two people the figure says so.
    """
    from datassay.annotation.aggregation import annotator_quality

    if not len(answers):
        raise NotApplicable("no answer came back yet")
    people = annotator_quality(answers, labels, numbers)
    several = labels["n_answers"] > 1
    text = f"{counted(len(answers), 'answer')} of {counted(len(people), 'annotator')}"
    if not several.any():
        needed = "two annotators" if len(people) == 1 else "examples with two answers"
        raise NotApplicable(f"agreement needs {needed}: {text}")
    text += f" on {counted(len(labels), 'example')}, {int(several.sum())} of them answered more than once."
    figure = new_figure(10.5, 4.4, heading("agreement", name), text)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.3))
    _alpha(left, rounds)
    _disputed(middle, labels.loc[several, "disagreement"], numbers)
    _people(right, people, numbers)
    return figure


def _alpha(axes: "Axes", rounds: "pd.DataFrame") -> None:
    axes.set(title="Krippendorff's alpha", xlabel="round", ylabel="alpha")
    known = rounds[rounds["alpha"].notna()]
    if not len(known):
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not defined: all\nanswers are the same", ha="center", va="center", color=GREY)
        return
    axes.bar(known["round"], known["alpha"], width=0.6, color=BLUE, zorder=3)
    axes.axhline(0.8, color=GREEN, linewidth=1, linestyle="--", zorder=2)
    axes.axhline(0.667, color=ORANGE, linewidth=1, linestyle="--", zorder=2)
    axes.text(
        1.0, 0.8, "reliable ", transform=axes.get_yaxis_transform(), ha="right", va="bottom", size=7.5, color=GREEN
    )
    axes.text(
        1.0, 0.667, "tentative ", transform=axes.get_yaxis_transform(), ha="right", va="bottom", size=7.5, color=ORANGE
    )
    axes.set_xticks(known["round"])
    axes.set_xlim(known["round"].min() - 0.8, known["round"].max() + 0.8)
    axes.set_ylim(min(0, known["alpha"].min() * 1.1), 1.02)


def _disputed(axes: "Axes", disagreement: "pd.Series", numbers: bool) -> None:
    what = "standard deviation of its answers" if numbers else "share of answer pairs that differ"
    axes.set(title="Disputed examples", xlabel=what, ylabel="examples")
    limits = None if numbers else (0.0, 1.0)
    axes.hist(disagreement, bins=12, range=limits, color=BLUE, edgecolor="white", zorder=3)


def _people(axes: "Axes", people: "pd.DataFrame", numbers: bool) -> None:
    shown = people.head(MOST_PEOPLE)
    title = "Annotators" if len(people) <= MOST_PEOPLE else f"Annotators, {MOST_PEOPLE} of {len(people)}"
    what = "root mean squared distance" if numbers else "agreement"
    axes.set(title=title, xlabel=what)
    place = np.arange(len(shown))[::-1]
    axes.barh(place, shown["agreement"], height=0.62, color=LIGHT, zorder=2, label="with the label")
    axes.plot(shown["peer_agreement"], place, "o", color=BLUE, markersize=5, zorder=4, label="with others")
    names = [
        f"{printable(who, 24)}  ({count})" for who, count in zip(shown["annotator"], shown["answers"], strict=True)
    ]
    axes.set_yticks(place, names)
    axes.grid(visible=False, axis="y")
    if not numbers:
        axes.set_xlim(0, 1.02)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


@themed
def annotation_balance(labels: "pd.DataFrame", label_names: Sequence[str], *, name: str = "") -> "Figure":
    """Draw what every round brought: examples per class, or the numbers of a regression.

    labels: label and round of every answered example. label_names: of the classes, empty in a regression.
    """
    if not len(labels):
        raise NotApplicable("no answer came back yet")
    rounds = np.unique(labels["round"])
    figure = new_figure(
        8.0, 4.4, heading("what the rounds brought", name),
        f"{counted(len(labels), 'example')} in {counted(len(rounds), 'round')}.",
    )  # fmt: skip
    axes = figure.add_subplot()
    axes.set(xlabel="round")
    axes.set_xticks(np.arange(len(rounds)), [str(number) for number in rounds])
    if not label_names:
        axes.boxplot([labels.loc[labels["round"] == r, "label"] for r in rounds], positions=np.arange(len(rounds)))
        axes.set_xticks(np.arange(len(rounds)), [str(number) for number in rounds])
        axes.set(ylabel="label")
        return figure
    counts = np.array(
        [np.bincount(labels.loc[labels["round"] == r, "label"], minlength=len(label_names)) for r in rounds]
    )
    groups = _largest(counts, label_names)
    bottom = np.zeros(len(rounds))
    for (title, height), colour in zip(groups, CLASS_COLOURS, strict=False):
        axes.bar(np.arange(len(rounds)), height, 0.6, bottom=bottom, color=colour, label=title, zorder=3)
        for place, (low, value) in enumerate(zip(bottom, height, strict=True)):
            if value >= 0.07 * counts.sum(axis=1).max():
                axes.text(
                    place, low + value / 2, str(value), ha="center", va="center", size=8.5, color="white", zorder=4
                )
        bottom += height
    axes.set(ylabel="examples")
    axes.set_xlim(-0.8, max(len(rounds), 3) - 0.2)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), labelcolor=DARK, reverse=True)
    return figure


def _largest(counts: np.ndarray, label_names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Return name and counts per round of the classes, the smallest of many taken together."""
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    if len(order) <= MOST_CLASSES:
        return [(printable(label_names[code], 24), counts[:, code]) for code in order]
    kept, rest = order[: MOST_CLASSES - 1], order[MOST_CLASSES - 1 :]
    groups = [(printable(label_names[code], 24), counts[:, code]) for code in kept]
    return [*groups, (f"{len(rest)} others", counts[:, rest].sum(axis=1))]
