"""Figures of active learning: what is learnt and found for the labels, where the time goes, what is looked at."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.active_learning.comparison import SELECTION
from datassay.errors import NotApplicable
from datassay.reporting.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    YELLOW,
    heading,
    new_figure,
    printable,
    readable,
    themed,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)
DASHES = ("-", "--", ":", "-.")
PARTS = {
    "search": ("neighbour search", BLUE),
    "subpool": ("subpool", SKY),
    "prediction": ("prediction on the subpool", GREEN),
    "query": ("acquisition function", ORANGE),
    "fit": ("training", GREY),
    "evaluation": ("evaluation", YELLOW),
}


@themed
def learning_curves(curves: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw minority F1 on the test split and the share of the minority found against the number of labels.

    curves: as `active_learning.comparison.curves` returns. Lines: median over the seeds, bands: quartiles; strategies
    by falling area under the left curve. The dotted line on the right is what a random choice finds on average.
    """
    if "minority_f1" not in curves:
        raise NotApplicable("no round was evaluated")
    styles = _styles(curves)
    figure = new_figure(11.5, 4.9, heading("active learning", name), _over_seeds(curves))
    learnt, found = figure.subplots(1, 2)
    _lines(learnt, curves, "minority_f1", styles)
    _lines(found, curves, "minority_found", styles)
    learnt.set(xlabel="labelled examples", ylabel="minority F1, test split", title="What is learnt")
    found.set(xlabel="labelled examples", ylabel="share of the pool's minority labelled", title="What is found")
    ends = np.array([curves["n_labelled"].min(), curves["n_labelled"].max()])
    base = curves.loc[curves["n_labelled"] == ends[0], "minority_found"].median()
    pool = curves.attrs.get("pool")
    if pool:
        expected = base + (1 - base) * (ends - ends[0]) / (pool - ends[0])
        found.plot(ends, expected, color=GREY, linestyle=(0, (1, 2)), linewidth=1.4, zorder=1, label="chance")
    learnt.set_ylim(bottom=0)
    found.set_ylim(bottom=0)
    handles, labels = found.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", handlelength=3.2)
    return figure


@themed
def learning_times(curves: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw the seconds of a round by part, per strategy: those of selection alone, and with training and evaluation.

    curves: as `active_learning.comparison.curves` returns. Medians over rounds that query and seeds.
    """
    queries = curves[curves["subpool_size"] > 0]
    if not len(queries):
        raise NotApplicable("no round queried anything")
    seconds = queries.groupby("strategy")[[f"seconds_{part}" for part in PARTS]].median()
    seconds.columns = list(PARTS)
    seconds = seconds.loc[seconds[list(SELECTION)].sum(axis=1).sort_values().index]
    figure = new_figure(
        11.5, 1.9 + 0.34 * len(seconds), heading("time per round of active learning", name),
        "Medians over rounds and seeds, least selection on top. They depend on the machine and on what else ran there.",
    )  # fmt: skip
    panels = figure.subplots(1, 2, sharey=True)
    for axes, parts, title in zip(
        panels, (SELECTION, tuple(PARTS)), ("Selection", "Selection, training, evaluation"), strict=True
    ):
        left = np.zeros(len(seconds))
        for part in parts:
            label, colour = PARTS[part]
            axes.barh(range(len(seconds)), seconds[part], left=left, color=colour, height=0.66, label=label)
            left += seconds[part].to_numpy()
        axes.set(xlabel="seconds per round", title=title)
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(seconds)), [readable(strategy) for strategy in seconds.index])
    panels[0].set_ylim(len(seconds) - 0.5, -0.5)
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower left", ncols=len(PARTS))
    return figure


@themed
def learning_subpools(curves: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw the size of the subpool and the share of the minority in it against the number of labels.

    curves: as `active_learning.comparison.curves` returns, attrs["minority"]: names of the classes. Median over seeds.
    """
    queries = curves[curves["subpool_size"] > 0].copy()
    if not len(queries):
        raise NotApplicable("no round queried anything")
    from matplotlib.ticker import StrMethodFormatter

    names = curves.attrs["minority"]
    queries["share"] = queries[[f"subpool_{c}" for c in names]].sum(axis=1) / queries["subpool_size"]
    styles = _styles(curves)
    figure = new_figure(11.5, 4.9, heading("what active learning looks at", name), _over_seeds(curves))
    size, share = figure.subplots(1, 2)
    _lines(size, queries, "subpool_size", styles)
    _lines(share, queries, "share", styles)
    size.set_yscale("log")
    for axis in (size.yaxis.set_major_formatter, size.yaxis.set_minor_formatter):
        axis(StrMethodFormatter("{x:,.0f}"))
    size.set(xlabel="labelled examples", ylabel="examples in the subpool", title="Size of the subpool")
    share.set(
        xlabel="labelled examples",
        ylabel=f"share of {printable(', '.join(names), 40)}",
        title="Minority in the subpool",
        ylim=(0, None),
    )
    figure.legend(*share.get_legend_handles_labels(), loc="outside right upper", handlelength=3.2)
    return figure


def _styles(curves: "pd.DataFrame") -> dict[str, tuple[str, str]]:
    """Return strategy -> (colour, dash), best mean minority F1 first; random is black."""
    column = "minority_f1" if "minority_f1" in curves else "minority_found"
    order = curves.groupby("strategy")[column].mean().sort_values(ascending=False).index
    found, number = {}, 0
    for strategy in order:
        if strategy == "random":
            found[strategy] = (BLACK, "-")
            continue
        found[strategy] = (COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)])
        number += 1
    return found


def _over_seeds(curves: "pd.DataFrame") -> str:
    seeds = curves["seed"].nunique()
    return f"Lines: median over {seeds} seeds, bands: quartiles." if seeds > 1 else "One seed."


def _lines(axes: "Axes", curves: "pd.DataFrame", column: str, styles: dict[str, tuple[str, str]]) -> None:
    for strategy, (colour, dash) in styles.items():
        rows = curves[(curves["strategy"] == strategy) & curves[column].notna()]
        groups = rows.groupby("n_labelled")[column]
        middle = groups.median()
        axes.fill_between(
            middle.index, groups.quantile(0.25), groups.quantile(0.75), color=colour, alpha=0.12, linewidth=0
        )
        axes.plot(middle.index, middle, color=colour, linestyle=dash, linewidth=1.7, label=readable(strategy))
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
