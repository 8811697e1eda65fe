"""Figures of measures and values: distributions, correlation, detection of label noise, histogram of values."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import NotApplicable
from datassay.reporting.columns import Guide, column_guide, numeric_columns, wrong_rows
from datassay.reporting.style import (
    BLACK,
    CLEAN,
    FAMILIES,
    GREY,
    NOISY,
    heading,
    label_bars,
    new_figure,
    readable,
    themed,
)
from datassay.reporting.tables import NOTHING_KNOWN

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HOW_TO_KNOW = (
    "set `noise` of the data set to give some train rows wrong labels on purpose, or `columns.true_label` where the "
    "right labels are known"
)


@themed
def distributions(
    measures: "pd.DataFrame", is_noisy: np.ndarray | None = None, guide: Guide | None = None, *, name: str = ""
) -> "Figure":
    """Draw a histogram of every measure and value, wrong labels beside right ones where they are known.

    measures: n train rows of the assay. is_noisy: [n] 1 wrong, 0 right, NaN unknown. guide: else `column_guide()`.
    """
    guide = guide or column_guide()
    columns = numeric_columns(measures, guide)
    _some(columns)
    wrong = wrong_rows(is_noisy, len(columns))
    across = min(5, columns.shape[1])
    down = -(-columns.shape[1] // across)
    figure = new_figure(
        max(7.0, 2.5 * across), 1.1 + 1.65 * down, heading("distribution of measures and values", name),
        f"{len(columns):,} train examples" + (", each group scaled to the same area" if wrong is not None else ""),
    )  # fmt: skip
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes in panels[columns.shape[1] :]:
        axes.set_axis_off()
    for axes, column in zip(panels, map(str, columns), strict=False):
        family = guide[column.partition(".")[0]][0]
        _one_distribution(axes, columns[column].to_numpy(), wrong)
        axes.set_title(readable(column), color=FAMILIES.get(family, GREY), size=9.5)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(False)
    for axes in panels[::across]:
        axes.set_ylabel("examples" if wrong is None else "density")
    for axes in panels[max(0, columns.shape[1] - across) : columns.shape[1]]:
        axes.set_xlabel("value")
    _legend(figure, [guide[c.partition(".")[0]][0] for c in map(str, columns)], noise=wrong is not None)
    return figure


def _one_distribution(axes: "Axes", values: np.ndarray, wrong: np.ndarray | None) -> None:
    known = np.isfinite(values)
    if not known.any() or np.ptp(values[known]) == 0:
        text = f"constant: {values[known][0]:g}" if known.any() else "no values"
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY)
        axes.set_xticks([])
        return
    low, high = np.quantile(values[known], (0.002, 0.998))
    if high <= low:
        low, high = values[known].min(), values[known].max()
    levels = np.unique(values[known])
    bins = 30
    if len(levels) <= 15 and (steps := (levels[-1] - levels[0]) / np.diff(levels).min()) <= 40:
        bins = round(steps) + 1  # counts and shares of a few: one bar for each level
        half = (levels[-1] - levels[0]) / max(2 * (bins - 1), 1)
        low, high = levels[0] - half, levels[-1] + half
    groups = [known] if wrong is None else [known & ~wrong, known & wrong]
    for rows, colour in zip(groups, (CLEAN, NOISY), strict=False):
        if rows.any():
            inside = np.clip(values[rows], low, high)
            heights, at = np.histogram(inside, bins, range=(low, high), density=wrong is not None)
            axes.stairs(heights, at, fill=True, color=colour, alpha=0.75 if colour == CLEAN else 0.35)
            axes.stairs(heights, at, color=colour, linewidth=1.1)
    axes.set_xlim(low, high)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=3)


@themed
def correlation(measures: "pd.DataFrame", guide: Guide | None = None, *, name: str = "") -> "Figure":
    """Draw Spearman's rank correlation of all measures and values, similar ones side by side.

    measures: n train rows of the assay; missing values are left out pair by pair, constant columns altogether.
    guide: else `column_guide()`.
    Time O(columns^2 n), memory O(columns n).
    """
    import seaborn as sns
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    guide = guide or column_guide()
    columns = numeric_columns(measures, guide)
    _some(columns)
    constant = [str(c) for c in columns if not columns[c].nunique() > 1]
    rho = columns.drop(columns=constant).rank().corr(min_periods=3).fillna(0.0)
    if len(rho) < 2:
        raise NotApplicable(f"correlation needs two columns that vary, there are {len(rho)}")
    far = (1 - rho.abs()).clip(lower=0).to_numpy(copy=True)
    np.fill_diagonal(far, 0)
    condensed = squareform(far, checks=False)
    order = leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))
    rho = rho.iloc[order, order]
    many = len(rho)
    side = float(np.clip(2.6 + 0.33 * many, 5.0, 16.0))
    note = f" Constant, left out: {', '.join(map(readable, constant))}." if constant else ""
    figure = new_figure(
        side + 0.9, side + 0.2, heading("rank correlation of measures and values", name),
        f"Spearman, in %, over {len(columns):,} train examples; similar columns are neighbours.{note}",
    )  # fmt: skip
    axes = figure.add_subplot()
    names = [readable(c) for c in rho]
    sns.heatmap(
        rho * 100, ax=axes, cmap="RdBu_r", vmin=-100, vmax=100, square=True, linewidths=0.5, linecolor="white",
        annot=many <= 32, fmt=".0f", annot_kws={"size": 7 if many > 12 else 8.5}, xticklabels=names, yticklabels=names,
        cbar_kws={"shrink": 0.6, "label": "Spearman correlation (%)", "aspect": 30},
    )  # fmt: skip
    axes.set(xlabel="", ylabel="")
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, column in zip(ticks, rho, strict=True):
            tick.set_color(FAMILIES.get(guide[column.partition(".")[0]][0], GREY))
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)
    return figure


@themed
def detection(table: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw AUROC and average precision of every column as a detector of wrong labels, best first.

    table: as `score_detection` returns it.
    """
    if not len(table):
        reason = table.attrs.get("reason", "no measure or value has a number for both right and wrong labels")
        raise NotApplicable(f"{reason}: {HOW_TO_KNOW}" if reason == NOTHING_KNOWN else reason)
    table = table.sort_values(["auroc", "average_precision"], ascending=True, ignore_index=True)
    share = table["n_noisy"].max() / table["n"].max()
    stated = table["orientation"].isin(["low", "high"])
    note = "" if stated.all() else " Hatched: no end is stated for wrong labels, scored as if high were suspicious."
    figure = new_figure(
        9.6, 1.7 + 0.235 * len(table), heading("detection of known label noise", name),
        f"{table['n_noisy'].max():,} of {table['n'].max():,} train labels are known to be wrong ({share:.1%}).{note}",
    )  # fmt: skip
    left, right = figure.subplots(1, 2, sharey=True)
    colours = [FAMILIES.get(family, GREY) for family in table["family"]]
    for axes, column, line, meaning in (
        (left, "auroc", 0.5, "chance"),
        (right, "average_precision", share, "chance (share of wrong labels)"),
    ):
        bars = axes.barh(np.arange(len(table)), table[column], color=colours, height=0.72)
        for bar, plain in zip(bars, stated, strict=True):
            if not plain:
                bar.set(alpha=0.45, hatch="////", edgecolor="white", linewidth=0)
        axes.axvline(line, color=BLACK, linestyle=(0, (4, 3)), linewidth=1)
        axes.text(line, len(table) - 0.3, f" {meaning}", size=8, color=BLACK, va="bottom", ha="left")
        label_bars(axes, table[column].tolist(), [f"{value:.3f}" for value in table[column]], 0.008)
        axes.set(xlim=(0, 1.1), xticks=np.arange(0, 1.01, 0.25), ylim=(-0.6, len(table) + 0.35))
        axes.grid(False, axis="y")
    left.set_yticks(np.arange(len(table)), [readable(c) for c in table["column"]])
    left.set(xlabel="AUROC", ylabel="measure or value")
    right.set(xlabel="average precision")
    _legend(figure, list(table["family"]), noise=False)
    return figure


@themed
def value_histogram(
    measures: "pd.DataFrame", is_noisy: np.ndarray | None = None, guide: Guide | None = None, *, name: str = ""
) -> "Figure":
    """Draw the histogram of every estimator's values, wrong labels stacked on right ones where they are known.

    measures: n train rows of the assay. is_noisy: [n] 1 wrong, 0 right, NaN unknown. guide: else `column_guide()`.
    """
    guide = guide or column_guide()
    columns = numeric_columns(measures, guide)
    values = {str(c): columns[c].to_numpy() for c in columns if guide[str(c).partition(".")[0]][0] == "value"}
    values = {name: value for name, value in values.items() if np.isfinite(value).any()}
    if not values:
        raise NotApplicable("no data values were estimated")
    everyone = wrong_rows(is_noisy, len(columns))
    across = min(2, len(values))
    down = -(-len(values) // across)
    figure = new_figure(
        7.6 if across == 1 else 11.0, 1.2 + 3.2 * down, heading("data values", name),
        "What each train example adds to the accuracy on the valuation split; below zero it takes away.",
    )  # fmt: skip
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes in panels[len(values) :]:
        axes.set_axis_off()
    for axes, (estimator, value) in zip(panels, values.items(), strict=False):
        known = np.isfinite(value)
        value, wrong = value[known], None if everyone is None else everyone[known]
        low, high = np.quantile(value, (0.001, 0.999))
        low, high = min(low, 0.0), max(high, 0.0)
        inside = np.clip(value, low, high)
        groups = [inside] if wrong is None else [inside[~wrong], inside[wrong]]
        names = ["train examples"] if wrong is None else ["label right", "label known to be wrong"]
        axes.hist(groups, bins=50, stacked=True, color=[CLEAN, NOISY][: len(groups)], label=names)
        axes.axvline(0, color=BLACK, linewidth=1.2)
        axes.set_title(f"{readable(estimator)}: {np.mean(value < 0):.1%} below zero")
        axes.set(xlabel=f"value (in shares of accuracy), sum {value.sum():.3g}", ylabel="train examples")
        axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)
        axes.locator_params(axis="x", nbins=6)
        if wrong is not None:
            axes.legend()
    return figure


def _some(columns: "pd.DataFrame") -> None:
    if not columns.shape[1]:
        raise NotApplicable("no measure or value was computed")
    if not len(columns):
        raise NotApplicable("there are no train examples")


def _legend(figure: "Figure", families: list[str], noise: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=FAMILIES.get(f, GREY), label=readable(f)) for f in dict.fromkeys(families)]
    if noise:
        handles += [Patch(color=CLEAN, label="label right"), Patch(color=NOISY, label="label known to be wrong")]
    figure.legend(handles=handles, loc="outside lower left", ncols=min(6, len(handles)), handlelength=1.2)
