"""Figures of transfer: the ranking of a target, and rankings held against real transfers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import NotApplicable
from datassay.reporting.style import (
    BLUE,
    GREY,
    LIGHT,
    ORANGE,
    RED,
    SKY,
    heading,
    new_figure,
    printable,
    readable,
    themed,
)
from datassay.transfer.evaluation import MEAN, gains

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SHOWN = 25
NAMES = {
    "esm_logme": "ESM-LogME",
    "logme": "LogME on models",
    "leep": "LEEP",
    "nce": "NCE",
    "h_score": "H-score",
    "frozen": "frozen transfer",
    "text_embedding": "TextEmb",
    "task_embedding": "TaskEmb",
    "vocabulary": "vocabulary overlap",
    "size": "size of the source",
    "random": "random",
    "one_transfer": "one real transfer",
}
REGRETS = {"regret_1": ("best of first 1", RED), "regret_3": ("of first 3", ORANGE), "regret_5": ("of first 5", SKY)}


@themed
def ranking_figure(table: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw the best sources of a target with the standard errors of their scores and the intervals of their ranks.

    table: as `described` returns it, best first. Sources that share texts with the target are drawn in red.
    """
    if not len(table):
        raise NotApplicable("no ESM could be ranked")
    shown = table.head(MOST_SHOWN)
    more = f" The first {len(shown)} of {len(table):,}." if len(table) > len(shown) else ""
    figure = new_figure(
        8.6, 1.5 + 0.27 * len(shown), heading("sources, best first", name),
        "LogME of the base model's embeddings mapped by the embedding space map of each source; bars: 95 % over draws "
        "of the target's rows; right: 95 % interval of the rank." + more,
    )  # fmt: skip
    axes = figure.add_subplot()
    places = np.arange(len(shown))
    colours = np.where(shown["Duplicate"].to_numpy(dtype=bool), RED, BLUE)
    errors = 1.96 * shown["Standard Error"].to_numpy(dtype=float)
    axes.hlines(places, shown["Score"] - errors, shown["Score"] + errors, color=LIGHT, linewidth=3, zorder=1)
    axes.scatter(shown["Score"], places, color=colours, s=30, zorder=2)
    labels = [_task(row) for row in shown.to_dict("records")]
    axes.set_yticks(places, labels)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlabel("score (LogME, nats per row)")
    for place, row in enumerate(shown.to_dict("records")):
        if row["Standard Error"] == row["Standard Error"]:
            text = f"{row['Rank Low']} to {row['Rank High']}"
            axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), va="center", size=8, color=GREY)
    if shown["Duplicate"].any():
        _dots(figure, {"shares texts with the target": RED, "other sources": BLUE})
    return figure


def _task(row: Mapping[Any, Any]) -> str:
    subset = f", {row['Task Subset']}" if isinstance(row["Task Subset"], str) else ""
    return printable(f"{row['Task ID']}{subset}", 44)


@themed
def transfer_figure(
    table: "pd.DataFrame",
    rankings: "Mapping[str, pd.DataFrame]",
    truth: "Mapping[str, pd.DataFrame]",
    base: "Mapping[str, pd.DataFrame]",
    method: str = "esm_logme",
) -> "Figure":
    """Draw what every method loses by its first choices, and the real transfers with the first choices of one method.

    table, rankings, truth, base: as `compare`, `rankings_of` and `truth_of` return them.
    """
    overall = table[table["target"] == MEAN]
    made = gains(truth, base)
    if not len(overall) or not len(made):
        raise NotApplicable("no real transfer was made")
    across = min(2, len(truth))
    down = -(-len(truth) // across)
    sources = int(made.groupby("target").size().max())
    height = max(1.6 + 0.34 * len(overall), 1.4 + down * (0.75 + 0.17 * sources))
    figure = new_figure(
        11.8, height, "Which source to fine-tune on first",
        f"Left: what is lost against the best source by taking the best of a method's first 1, 3 or 5, mean over "
        f"{len(truth)} targets. Right: target performance after fine-tuning on each source first, mean and range over "
        f"seeds; line: without a source; filled: the first 1 and 3 of {NAMES[method]}.",
    )  # fmt: skip
    halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    left, right = halves
    _regrets(left.subplots(), overall)
    _dots(left, dict(REGRETS.values()))
    panels = right.subplots(down, across, squeeze=False).ravel()
    for axes, target in zip(panels, truth, strict=False):
        own = rankings[target]
        scores = own[own["method"] == method].set_index("source")["score"].sort_values(ascending=False)
        without = float(base[target]["performance"].mean())
        _transfers(axes, truth[target], without, list(scores.index), str(target))
    for axes in panels[len(truth) :]:
        axes.set_axis_off()
    _dots(right, {"first choice": RED, "second and third": ORANGE, "others": BLUE})
    return figure


def _regrets(axes: "Axes", overall: "pd.DataFrame") -> None:
    rows = overall
    places = np.arange(len(rows))
    regrets = rows[list(REGRETS)].to_numpy(dtype=float)
    axes.hlines(places, regrets.min(axis=1), regrets.max(axis=1), color=LIGHT, linewidth=3, zorder=1)
    for column, (_, colour) in reversed(REGRETS.items()):
        axes.scatter(rows[column], places, color=colour, s=34, zorder=2)
    most = int(rows["targets"].max())
    names = [
        NAMES.get(m, readable(m)) + (f" ({t} targets)" if t < most else "")
        for m, t in zip(rows["method"], rows["targets"].astype(int), strict=True)
    ]
    axes.set_yticks(places, names)
    ticks: list[Any] = axes.get_yticklabels()
    for label, method in zip(ticks, rows["method"], strict=True):
        label.set_weight("bold" if method == "esm_logme" else "normal")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=min(0.0, float(regrets.min())) - 0.02 * max(float(np.nanmax(regrets)), 1e-9))
    axes.set_xlabel("regret, % of the best performance")
    axes.grid(False, axis="y")


def _transfers(axes: "Axes", truth: "pd.DataFrame", without: float, first: list[str], target: str) -> None:
    grouped = truth.groupby("source")["performance"]
    mean = grouped.mean().sort_values(ascending=False)
    low, high = grouped.min()[mean.index], grouped.max()[mean.index]
    places = np.arange(len(mean))
    axes.axvline(without, color=GREY, linewidth=1.2, linestyle=(0, (3, 2)), zorder=1)
    axes.hlines(places, low, high, color=LIGHT, linewidth=2.5, zorder=1)
    for place, (source, value) in enumerate(mean.items()):
        rank = first.index(source) if source in first else len(first)
        fill = RED if rank == 0 else ORANGE if rank < 3 else "white"
        axes.scatter([value], [place], s=26, color=fill, edgecolors=fill if rank < 3 else BLUE, zorder=2)
    axes.set_yticks(places, [printable(str(source), 20) for source in mean.index], fontsize=7.5)
    axes.set_ylim(len(mean) - 0.5, -0.5)
    axes.set_title(printable(target, 24))
    axes.grid(False, axis="y")


def _dots(figure: Any, colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="none", label=label) for label, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
