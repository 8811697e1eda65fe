"""The comparison of the pruning strategies: every cell against random choice, and mean ranks over the ratios."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import NotApplicable
from datassay.reporting.style import (
    BLACK,
    BLUE,
    GREY,
    LIGHT,
    RED,
    heading,
    new_figure,
    printable,
    readable,
    themed,
)
from datassay.selection.comparison import BALANCED, FULL, RANDOM, critical_difference, leading

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SATURATED = 85  # percentile of the differences at which the colours end
LEAST = 0.05  # where the colours end at the least, so that a tiny difference stays pale
EMPTY = "#F3F4F6"
ROW, COLUMN = 0.36, 0.72  # inches of a cell


@themed
def pruning_comparison(comparison: "pd.DataFrame", metric: str = "accuracy", *, name: str = "") -> "Figure":
    """Draw strategy x ratio: how much better or worse than random each cell is; beside it the mean ranks.

    comparison: as `selection.comparison.compare` returns. Strategies with the best mean rank on top. The grey band
    around random's mean rank is the critical difference of Nemenyi's test at 5 %, the ratios being its blocks.
    """
    rows = leading(comparison, metric)
    full, pruned = rows[rows["strategy"] == FULL], rows[rows["strategy"] != FULL]
    if not len(pruned):
        raise NotApplicable("no pruned model was retrained")
    if RANDOM not in set(pruned["strategy"]):
        raise NotApplicable("strategy 'random' was not run, which the others are compared with")
    order = pruned.groupby("strategy")[["mean_rank", "all_minus_random"]].first().sort_values(
        ["mean_rank", "all_minus_random"], ascending=[True, False], kind="stable"
    )  # fmt: skip
    strategies = [str(strategy) for strategy in order.index]
    ratios = sorted(pruned["ratio"].unique())
    widths = [max(COLUMN * len(ratios), 2.2), 3.4]
    figure = new_figure(2.6 + sum(widths), 2.2 + ROW * len(strategies), heading("pruning compared", name),
                        _subtitle(rows, full, metric, ratios))  # fmt: skip
    cells, ranks = figure.subplots(1, 2, width_ratios=widths, sharey=True)
    _heat_map(figure, cells, pruned, strategies, ratios)
    _ranks(ranks, pruned, strategies, len(ratios))
    cells.set_yticks(range(len(strategies)), [readable(strategy) for strategy in strategies])
    for label, strategy in zip(cells.get_yticklabels(), strategies, strict=True):
        label.set_fontweight("bold" if strategy in (RANDOM, BALANCED) else "normal")
    cells.set_ylabel("strategy")
    cells.set_ylim(len(strategies) - 0.5, -0.5)
    return figure


def _subtitle(rows: "pd.DataFrame", full: "pd.DataFrame", metric: str, ratios: list[float]) -> str:
    seeds = int(rows["seeds"].max())
    several = f"mean ± standard deviation over {seeds} seeds, bold: better or worse with all"
    level = f" Full data {full['mean'].iloc[0]:.3f}." if len(full) else ""
    over = f"{len(ratios)} ratio{'s' * (len(ratios) > 1)}"
    return (
        f"{rows['split'].iloc[0].capitalize()} {metric} minus that of a random choice of as many rows "
        f"({several if seeds > 1 else 'one seed'}); random itself: its level.{level} "
        f"Best mean rank on top. Right: mean rank over {over}, line: lowest to highest rank, cells won, and the "
        "sign-flip test over all cells."
    )


def _heat_map(
    figure: "Figure", axes: "Axes", pruned: "pd.DataFrame", strategies: list[str], ratios: list[float]
) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import FuncFormatter

    grid = pruned.pivot(index="strategy", columns="ratio", values="minus_random")
    differences = grid.reindex(index=strategies, columns=ratios).to_numpy(np.float64)
    others = np.abs(differences[[s != RANDOM for s in strategies]])
    limit = max(float(np.nanpercentile(others, SATURATED)) if np.isfinite(others).any() else 0.0, LEAST)
    colours = LinearSegmentedColormap.from_list("against_random", [RED, "white", BLUE])
    axes.set_facecolor(EMPTY)  # shows where there is no cell
    shown = differences.copy()
    shown[strategies.index(RANDOM)] = np.nan
    image = axes.imshow(shown, cmap=colours, vmin=-limit, vmax=limit, aspect="auto")
    for _, cell in pruned.iterrows():
        _write(axes, ratios.index(cell["ratio"]), strategies.index(cell["strategy"]), cell, limit)
    axes.grid(False)
    axes.set_xticks(range(len(ratios)), [f"{ratio * 100:g} %" for ratio in ratios])
    axes.set_xlabel("share of train rows kept")
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(
        image, ax=axes, location="bottom", fraction=0.05, aspect=40, pad=0.02, extend="both",
        ticks=(-limit, 0, limit), format=FuncFormatter(lambda value, _: _signed(value)),
    )  # fmt: skip
    bar.outline.set_visible(False)
    bar.set_label("worse than random < 0 < better than random")


def _write(axes: "Axes", x: int, y: int, cell: "pd.Series", limit: float) -> None:
    """Write a cell's difference and spread into it; for random its level."""
    is_random = cell["strategy"] == RANDOM
    value, spread = (cell["mean"], cell["std"]) if is_random else (cell["minus_random"], cell["minus_random_std"])
    if not np.isfinite(value):
        return
    dark = not is_random and abs(value) > 0.75 * limit
    always = not is_random and cell["seeds"] > 1 and cell["seeds"] in (cell["wins"], cell["losses"])
    colour = GREY if is_random else "white" if dark else BLACK
    text = f"{value:.3f}" if is_random else _signed(value)
    several = np.isfinite(spread)
    axes.text(
        x, y - 0.16 * several, text, ha="center", va="center", size=8, color=colour,
        weight="bold" if always else "normal",
    )  # fmt: skip
    if several:
        axes.text(x, y + 0.24, f"±{spread:.3f}".replace("0.", "."), ha="center", va="center", size=6.5, color=colour)


def _signed(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:+.3f}".replace("0.", ".", 1).replace("-", "−") if abs(value) < 1 else f"{value:+.2f}"


def _ranks(axes: "Axes", pruned: "pd.DataFrame", strategies: list[str], blocks: int) -> None:
    """Draw every strategy's mean rank, the range of its ranks, and what it won against random."""
    cells = {strategy: pruned[pruned["strategy"] == strategy] for strategy in strategies}
    mean = {strategy: float(cells[strategy]["mean_rank"].iloc[0]) for strategy in strategies}
    difference = critical_difference(len(strategies), blocks)
    axes.set_xlim(0.4, len(strategies) + 0.6)
    if np.isfinite(difference):
        low, high = mean[RANDOM] - difference, mean[RANDOM] + difference
        axes.axvspan(low, high, color=LIGHT, alpha=0.45, linewidth=0, zorder=0)
    axes.axvline(mean[RANDOM], color=BLACK, linewidth=1, linestyle="--", zorder=1)
    for y, strategy in enumerate(strategies):
        rank, won = cells[strategy]["rank"], cells[strategy].iloc[0]
        colour = BLACK if strategy in (RANDOM, BALANCED) else BLUE if mean[strategy] < mean[RANDOM] else RED
        axes.plot([rank.min(), rank.max()], [y, y], color=colour, linewidth=1.2, alpha=0.6, zorder=2)
        axes.plot(mean[strategy], y, "o", color=colour, markersize=6, zorder=3)
        if strategy != RANDOM and won["all_cells"]:
            text = f"{won['all_wins']} of {won['all_cells']} won, p {_p(won['all_p_sign_flip'])}"
            axes.annotate(
                printable(text), (1.03, y), xycoords=axes.get_yaxis_transform(), va="center", size=8, color=GREY,
                annotation_clip=False,
            )  # fmt: skip
    axes.tick_params(labelleft=False)
    axes.grid(axis="y", visible=False)
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    axes.set_xlabel(f"mean rank (1 = best){'; band: critical difference' if np.isfinite(difference) else ''}")


def _p(value: float) -> str:
    if value < 0.001:
        return "< .001"
    return f"{value:.3f}".replace("0.", ".", 1) if value < 0.9995 else "1"
