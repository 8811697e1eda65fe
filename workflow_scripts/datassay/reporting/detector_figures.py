"""Figures of cleaning and of detectors: the comparison over data sets, removal curves, before and after."""

from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.cleaning.curves import ORDERS, RANDOM, areas
from datassay.errors import NotApplicable
from datassay.reporting.detectors import EVERY
from datassay.reporting.style import (
    BLACK,
    BLUE,
    FAMILIES,
    GREY,
    LIGHT,
    RED,
    heading,
    label_bars,
    new_figure,
    printable,
    readable,
    themed,
)
from datassay.reporting.tables import NONE_STATED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 5
COLUMNS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "ridge_gain": "gain, ridge",
    "knn_gain": "gain, K-NN",
}


@themed
def detectors_figure(table: "pd.DataFrame") -> "Figure":
    """Draw every detector of every data set as a table with shaded cells, best mean AUROC on top.

    table: as `compare_detectors` returns. Detectors that state no end for wrong labels are left out and counted.
    One data set with one model is drawn as bars.
    """
    if not len(table):
        raise NotApplicable("no label is known to be wrong, and no removal curve was followed")
    stated = table[table["orientation"] != NONE_STATED]
    blocks = {name: title for name, title in COLUMNS.items() if name in stated and stated[name].notna().any()}
    if not blocks:
        raise NotApplicable("no label is known to be wrong, and no removal curve was followed")
    overall = stated[stated["dataset"] == EVERY].set_index("detector")
    order = list(overall.sort_values(list(blocks), ascending=False, kind="stable").index)
    single = stated[stated["dataset"] != EVERY]
    pairs = list(dict.fromkeys(zip(single["dataset"], single["model"], strict=True)))
    models = single.groupby("dataset")["model"].nunique()
    names = [pair[0] if models[pair[0]] == 1 else f"{pair[0]}, {pair[1]}" for pair in pairs]
    one = len(pairs) == 1
    mean = [] if one else ["mean"]
    width = 2.4 + len(blocks) * (1.9 if one else 0.25 + 0.47 * (len(names) + 1))
    hidden = table.loc[table["orientation"] == NONE_STATED, "detector"].nunique()
    figure = new_figure(
        max(width, 9.0), 2.6 + 0.235 * len(order), heading("detectors of wrong labels", names[0] if one else ""),
        "AUROC and average precision for labels known to be wrong; gain: mean test accuracy while the most suspicious "
        "half of the train rows is removed, less that of removing at random, in points."
        + f" In the table only: {hidden} that state no end for wrong labels." * bool(hidden),
    )  # fmt: skip
    panels = figure.subplots(1, len(blocks), sharey=True, squeeze=False)[0]
    for axes, (column, title) in zip(panels, blocks.items(), strict=True):
        cells = single.pivot_table(index="detector", columns=["dataset", "model"], values=column, dropna=False)
        values = cells.reindex(index=order, columns=pairs).to_numpy(dtype=float)
        if one:
            _bars(axes, values[:, 0], column, title, list(overall.loc[order, "family"]), _chance(single, column))
            continue
        values = np.column_stack([values, overall.loc[order, column].to_numpy(dtype=float)])
        _cells(axes, values, column, title, [*names, *mean])
    panels[0].set_yticks(np.arange(len(order)), [readable(name) for name in order])
    for tick, name in zip(panels[0].get_yticklabels(), order, strict=True):
        tick.set_color(FAMILIES.get(str(overall.loc[name, "family"]), GREY))
    return figure


def _cells(axes: "Axes", values: np.ndarray, column: str, title: str, names: list[str]) -> None:
    gain = column.endswith("_gain")
    shown = values * 100 if gain else values
    largest = np.nanmax(np.abs(shown)) if np.isfinite(shown).any() else 1.0
    limits = {"vmin": -largest, "vmax": largest} if gain else {"vmin": 0.0, "vmax": 1.0}
    axes.imshow(shown, cmap="RdBu" if gain else "YlGnBu", aspect="auto", alpha=0.75, **limits)
    for row, column_number in np.ndindex(*shown.shape):
        value = shown[row, column_number]
        if np.isfinite(value):
            text = _number(float(values[row, column_number]), gain=gain)
            strong = abs(value) > 0.75 * largest if gain else value > 0.7
            axes.text(column_number, row, text, ha="center", va="center", size=7, color="white" if strong else BLACK)
    axes.set_xticks(np.arange(len(names)), [printable(name, 22) for name in names], rotation=60, ha="right")
    axes.set_title(title)
    axes.grid(False)
    if names[-1] == "mean":
        axes.axvline(len(names) - 1.5, color="white", linewidth=3)


def _chance(table: "pd.DataFrame", column: str) -> float:
    if column == "average_precision":
        return float((table["n_noisy"] / table["n"]).max())
    return 0.5 if column == "auroc" else 0.0


def _bars(axes: "Axes", values: np.ndarray, column: str, title: str, families: list[str], chance: float) -> None:
    """Draw one data set's numbers as a bar each, first on top, with the number at its end, and a line at chance."""
    gain = column.endswith("_gain")
    shown = np.nan_to_num(values * 100 if gain else values)
    axes.barh(np.arange(len(shown)), shown, color=[FAMILIES.get(family, GREY) for family in families], height=0.72)
    low, high = (min(shown.min(), 0.0), max(shown.max(), 0.0)) if gain else (0.0, 1.0)
    span = high - low or 1.0
    texts = ["" if np.isnan(value) else _number(value, gain=gain) for value in values]
    label_bars(axes, np.maximum(shown, 0.0).tolist(), texts, 0.02 * span)
    axes.set(title=title, xlim=(low - 0.03 * span, high + 0.3 * span), ylim=(len(shown) - 0.4, -0.6))
    axes.set_xlabel("points; line: random" if gain else "line: chance")
    axes.axvline(chance, color=BLACK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.locator_params(axis="x", nbins=4)
    axes.grid(False, axis="y")


def _number(value: float, *, gain: bool) -> str:
    return f"{value * 100:+.1f}" if gain else f"{value:.2f}".replace("0.", ".", 1)


@themed
def removal_figure(curves: "pd.DataFrame", utility: str, *, name: str = "") -> "Figure":
    """Draw a panel per detector: test accuracy as the suspicious or the trusted rows are removed first, and at random.

    curves: as `removal_curves` returns. The detector with the best mean accuracy while suspicious rows go comes first.
    """
    rows = curves[curves["utility"] == utility]
    if not len(curves):
        raise NotApplicable("no test row is labelled, so that there is no accuracy to follow")
    detectors = [detector for detector in rows["detector"].unique() if detector != RANDOM]
    if not detectors:
        raise NotApplicable("no value or measure states an end for wrong labels and has a number in every row")
    area = areas(rows).set_index("detector")["remove_suspicious"]
    detectors.sort(key=lambda detector: -area[detector])
    down = -(-len(detectors) // ACROSS)
    figure = new_figure(
        2.35 * min(ACROSS, len(detectors)) + 0.8, 1.5 + 1.65 * down, heading(f"removal curves, {utility}", name),
        "Accuracy on the test split, train rows removed by each value or measure; best first. Read from the right, the "
        "curves say what adding the rows of the other end first brings.",
    )  # fmt: skip
    panels = figure.subplots(down, min(ACROSS, len(detectors)), sharex=True, sharey=True, squeeze=False)
    control = rows[(rows["detector"] == RANDOM) & (rows["order"] == ORDERS[0])].sort_values("removed")
    for axes, detector in zip(panels.ravel(), detectors, strict=False):
        axes.plot(control["removed"], control["accuracy"], color=GREY, linewidth=1.2, linestyle=(0, (3, 2)))
        for order, colour in zip(ORDERS, (BLUE, RED), strict=True):
            curve = rows[(rows["detector"] == detector) & (rows["order"] == order)].sort_values("removed")
            axes.plot(curve["removed"], curve["accuracy"], color=colour, linewidth=1.6)
        axes.set_title(readable(detector), size=9)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    for axes in panels.ravel()[len(detectors) :]:
        axes.set_axis_off()
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy")
    for axes in panels[-1]:
        axes.set_xlabel("share removed")
    _lines(figure, {"suspicious first": BLUE, "trusted first": RED, "random (mean)": GREY})
    return figure


@themed
def cleaning_changes(table: "pd.DataFrame", seeds: "pd.DataFrame", metric: str, *, name: str = "") -> "Figure":
    """Draw a test metric of every seed with all train rows and after cleaning, and the K-NN check beside it.

    table, seeds: as `cleaning.summarise` and `cleaning.by_seed` return them.
    """
    if not len(table) or f"{metric}_after" not in seeds or seeds[f"{metric}_after"].isna().all():
        raise NotApplicable(f"nothing was cleaned, or the models have no {metric}")
    figure = new_figure(
        9.4, 1.9 + 0.62 * len(table), heading("cleaning", name),
        "Dots: seeds, trained on all rows (grey) and on the kept ones (blue); bars: means. Right: K-nearest neighbours "
        "on the encoder's vectors.",
    )  # fmt: skip
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    labels = []
    for place, row in enumerate(table.to_dict("records")):
        own = seeds[(seeds["column"] == row["column"]) & (seeds["rule"] == row["rule"])]
        for shift, end, colour in ((-0.16, "before", GREY), (0.16, "after", BLUE)):
            values = own[f"{metric}_{end}"].to_numpy(dtype=float)
            left.scatter(values, np.full(len(values), place + shift), color=colour, s=22, alpha=0.7, linewidths=0)
            left.plot([values.mean()] * 2, [place + shift - 0.13, place + shift + 0.13], color=colour, linewidth=2.5)
        _arrow(right, row["knn_test_before"], row["knn_test_after"], place)
        labels.append(f"{readable(str(row['column']))}, {row['rule']}\ndrops {row['n_dropped']:,} of {row['n']:,}")
    left.set_yticks(np.arange(len(table)), labels)
    left.set_ylim(len(table) - 0.5, -0.5)
    left.set_xlabel(f"test {metric}, retrained")
    right.set_xlabel("test accuracy, K-NN")
    for axes in (left, right):
        axes.grid(False, axis="y")
        axes.margins(x=0.12)
    _lines(figure, {"all rows": GREY, "kept rows": BLUE})
    return figure


def _arrow(axes: "Axes", before: Any, after: Any, place: int) -> None:
    if before is None or after is None or not np.isfinite([before, after]).all():
        return
    axes.plot([before, after], [place, place], color=LIGHT, linewidth=2.5, zorder=1)
    for value, colour, side in ((before, GREY, 0.13), (after, BLUE, -0.13)):
        axes.scatter([value], [place], color=colour, s=34, zorder=2)
        axes.text(value, place - 2 * side, f"{value:.3f}", ha="center", va="center", size=8, color=colour)


def _lines(figure: "Figure", colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linewidth=2, label=label) for label, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
