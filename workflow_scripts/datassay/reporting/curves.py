"""Curves: pruning against random and full data, and training over the epochs."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import NotApplicable
from datassay.reporting.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    SPLITS,
    heading,
    metric_name,
    new_figure,
    printable,
    readable,
    spread_labels,
    themed,
)
from datassay.selection.comparison import FULL, RANDOM, leading
from datassay.training.scores import check_recorded

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOGETHER = 6  # strategies that one panel holds legibly, random not counted


@themed
def pruning_curves(comparison: "pd.DataFrame", metric: str = "accuracy", *, name: str = "") -> "Figure":
    """Draw a metric after retraining against the share of train rows kept, one line per strategy.

    comparison: as `selection.comparison.compare` returns; the test split is drawn, or the validation split where no
    test row is labelled. Full data is a dashed line with its band, random black. Up to 6 strategies share a panel with
    names at the line ends; more get a panel each, with the others in grey behind.
    """
    summary = leading(comparison, metric).rename(columns={"std": "spread"})
    full = summary[summary["strategy"] == FULL]
    pruned = summary[summary["strategy"] != FULL]
    if not len(pruned):
        raise NotApplicable("no pruned model was retrained")
    lines = {str(s): rows.sort_values("ratio") for s, rows in pruned.groupby("strategy", sort=True)}
    seeds = int(summary["seeds"].max())
    level = f"{summary['split'].iloc[0]} {metric}"
    spread = "error bars and band: one standard deviation" + f" over {seeds} seeds"
    spread = "with one seed, so without error bars" if seeds == 1 else spread
    subtitle = f"Retrained on the kept part of the train rows; {spread}."
    others = [s for s in lines if s != RANDOM]
    others.sort(key=lambda s: -lines[s]["mean"].mean())
    draw = _one_panel if len(others) <= TOGETHER else _many_panels
    return draw(lines, others, full, level, heading("pruning", name), subtitle)


def _one_panel(
    lines: dict, others: list[str], full: "pd.DataFrame", metric: str, title: str, subtitle: str
) -> "Figure":
    figure = new_figure(8.4, 5.2, title, subtitle)
    axes = figure.add_subplot()
    colours = dict(zip(others, (BLUE, RED, GREEN, ORANGE, PURPLE, SKY), strict=False))
    _full_line(axes, full)
    shown = [*others, RANDOM] if RANDOM in lines else others
    for strategy in shown:
        _line(axes, lines[strategy], colours.get(strategy, BLACK), zorder=3)
    _scale(axes, lines, full)
    axes.set(xlabel="share of train rows kept", ylabel=metric)
    low, high = axes.get_ylim()
    ends = [float(lines[s]["mean"].iloc[-1]) for s in shown] + [float(m) for m in full["mean"]]
    names = [*shown, *(["full data"] if len(full) else [])]
    for end, place, strategy in zip(ends, spread_labels(ends, (high - low) * 0.05, low, high), names, strict=True):
        axes.annotate(
            readable(strategy), (axes.get_xlim()[1], end), xytext=(1.03, (place - low) / (high - low)),
            textcoords="axes fraction", va="center", size=9, weight="bold",
            color=GREY if strategy == "full data" else colours.get(strategy, BLACK),
            annotation_clip=False,
        )  # fmt: skip
    return figure


def _many_panels(
    lines: dict, others: list[str], full: "pd.DataFrame", metric: str, title: str, subtitle: str
) -> "Figure":
    from matplotlib.lines import Line2D

    across = 4
    down = -(-len(others) // across)
    figure = new_figure(
        11.5, 1.3 + 2.15 * down, title, f"{subtitle} Best on average first; in grey the other strategies."
    )
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, strategy in zip(panels.ravel(), others, strict=False):
        for other in others:
            if other != strategy:
                axes.plot(lines[other]["ratio"], lines[other]["mean"], color=LIGHT, linewidth=1, zorder=1)
        _full_line(axes, full)
        if RANDOM in lines:
            _line(axes, lines[RANDOM], BLACK, zorder=2)
        _line(axes, lines[strategy], BLUE, zorder=3)
        axes.set_title(readable(strategy))
        _scale(axes, lines, full)
    for index, axes in enumerate(panels.ravel()):
        axes.set_axis_off() if index >= len(others) else None
        if index < len(others) <= index + across:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("share of train rows kept")
    for axes in panels[:, 0]:
        axes.set_ylabel(metric)
    handles = [Line2D([], [], color=BLUE, linewidth=2, marker="o", markersize=4, label="the strategy named above")]
    if RANDOM in lines:
        handles.append(Line2D([], [], color=BLACK, linewidth=2, marker="o", markersize=4, label="random"))
    if len(full):
        handles.append(Line2D([], [], color=GREY, linestyle="--", label="full data"))
    figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


def _line(axes: "Axes", rows: "pd.DataFrame", colour: str, zorder: int) -> None:
    axes.errorbar(
        rows["ratio"], rows["mean"], yerr=rows["spread"].fillna(0), color=colour, marker="o", markersize=4,
        linewidth=1.8, elinewidth=1, capsize=2, zorder=zorder,
    )  # fmt: skip


def _full_line(axes: "Axes", full: "pd.DataFrame") -> None:
    if len(full):
        mean, spread = float(full["mean"].iloc[0]), float(np.nan_to_num(full["spread"].iloc[0]))
        axes.axhspan(mean - spread, mean + spread, color=LIGHT, alpha=0.5, linewidth=0, zorder=0)
        axes.axhline(mean, color=GREY, linestyle="--", linewidth=1.2, zorder=0)


def _scale(axes: "Axes", lines: dict, full: "pd.DataFrame") -> None:
    from matplotlib.ticker import PercentFormatter

    ratios = sorted({float(r) for rows in lines.values() for r in rows["ratio"]})
    margin = max(0.03, 0.05 * (ratios[-1] - ratios[0]))
    axes.set_xlim(ratios[0] - margin, ratios[-1] + margin)
    spaced = [r for i, r in enumerate(ratios) if i == 0 or r - ratios[i - 1] >= 0.02]
    axes.set_xticks(spaced if len(spaced) <= 6 else spaced[:: -(-len(spaced) // 6)])
    axes.xaxis.set_major_formatter(
        PercentFormatter(1.0, decimals=0 if all(r * 100 % 1 < 1e-9 for r in ratios) else None)
    )


@themed
def training_curves(metrics: "pd.DataFrame", metric: str = "accuracy", *, name: str = "") -> "Figure":
    """Draw loss and a metric of every split after every epoch, the mean over seeds with a band from lowest to highest.

    metrics: epoch, split, loss, the metric, and seed where there are several.
    """
    rows = metrics[metrics["split"].isin(SPLITS)] if len(metrics) else metrics
    if not len(rows):
        raise NotApplicable("no metrics were recorded")
    check_recorded(metric, rows)
    seeds = rows["seed"].nunique() if "seed" in rows else 1
    band = f"; lines: mean of {seeds} seeds, bands: lowest to highest" if seeds > 1 else ""
    figure = new_figure(9.6, 4.4, heading("training", name), f"Measured in evaluation mode after every epoch{band}.")
    for axes, column in zip(figure.subplots(1, 2), ("loss", metric), strict=True):
        ends: dict[str, float] = {}
        for split, colour in SPLITS.items():
            groups = rows[rows["split"] == split].groupby("epoch")[column]
            mean = groups.mean()
            if not len(mean):
                continue
            axes.fill_between(mean.index, groups.min(), groups.max(), color=colour, alpha=0.15, linewidth=0)
            axes.plot(mean.index, mean, color=colour, marker="o", markersize=4, linewidth=1.8)
            ends[split] = float(mean.iloc[-1])
        shown = metric_name(column)
        axes.set(xlabel="epoch", title=shown[:1].upper() + shown[1:])
        loss = "mean squared error" if "rmse" in rows else "cross entropy (nats)"
        axes.set_ylabel({"loss": loss, "accuracy": "share predicted as labelled"}.get(column, shown))
        axes.xaxis.get_major_locator().set_params(integer=True)
        _end_names(axes, ends)
    return figure


def _end_names(axes: "Axes", ends: dict[str, float]) -> None:
    low, high = axes.get_ylim()
    for (split, end), place in zip(
        ends.items(), spread_labels(list(ends.values()), (high - low) * 0.065, low, high), strict=True
    ):
        axes.annotate(
            f"{printable(split)} {end:.3f}", (axes.get_xlim()[1], end), xytext=(1.02, (place - low) / (high - low)),
            textcoords="axes fraction", va="center", size=8.5, weight="bold", color=SPLITS[split],
            annotation_clip=False,
        )  # fmt: skip
