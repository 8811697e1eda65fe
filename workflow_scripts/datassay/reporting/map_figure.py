"""The data map of dataset cartography."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from datassay.errors import NotApplicable
from datassay.reporting.columns import wrong_rows
from datassay.reporting.style import (
    BLUE,
    CLEAN,
    NOISY,
    heading,
    new_figure,
    themed,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colorizer import ColorizingArtist
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MOST_POINTS = 20_000  # above it a map shows density, not points


@themed
def data_map(measures: "pd.DataFrame", is_noisy: np.ndarray | None = None, *, name: str = "") -> "Figure":
    """Draw variability against mean confidence, coloured by correctness (dataset cartography).

    measures: avg_conf, variability and, for the colour, correctness of n train rows; of a regression mean_abs_error and
    prediction_variability take their place. is_noisy: [n] 1 wrong label,
    0 right, NaN unknown; wrong ones are ringed. Above 20,000 rows cells are drawn instead of points.
    Source: Swayamdipta et al., EMNLP 2020.
    """
    numbers = "mean_abs_error" in measures and "avg_conf" not in measures
    columns = ("mean_abs_error", "prediction_variability") if numbers else ("avg_conf", "variability")
    _need(measures, *columns)
    confidence, variability = (measures[c].to_numpy(dtype=float) for c in columns)
    top = max(float(confidence.max()), 1e-9) if numbers else 1.0
    wrong = wrong_rows(is_noisy, len(measures))
    ringed = "" if wrong is None else f"; ringed: {int(wrong.sum()):,} labels known to be wrong"
    figure = new_figure(
        8.6, 7.0, heading("data map", name),
        f"{len(measures):,} train examples over the epochs of the first seed. "
        f"{'Bottom' if numbers else 'Top'}: easy to learn; right: ambiguous; {'top' if numbers else 'bottom'}: hard to "
        f"learn{ringed}",
    )  # fmt: skip
    grid = figure.add_gridspec(2, 2, width_ratios=(5, 1), height_ratios=(1, 5))
    axes = figure.add_subplot(grid[1, 0])
    above, beside = figure.add_subplot(grid[0, 0], sharex=axes), figure.add_subplot(grid[1, 1], sharey=axes)
    shade = np.full(len(measures), np.nan)
    if "correctness" in measures:
        shade = measures["correctness"].to_numpy(dtype=float)
    drawn = _map_cells(axes, variability, confidence, shade, top) if len(measures) > MOST_POINTS else _map_points(
        axes, variability, confidence, shade, wrong
    )  # fmt: skip
    if drawn is not None:
        corner = figure.add_subplot(grid[0, 1])
        corner.set_axis_off()
        bar = figure.colorbar(drawn, cax=corner.inset_axes((0.0, 0.72, 1.0, 0.13)), orientation="horizontal")
        bar.set_label("correct\n(share of epochs)", size=8.5)
        bar.set_ticks([0, 0.5, 1])
        bar.outline.set_visible(False)
    spread, level = ("prediction", "error (mean distance to the label)") if numbers else (
        "label's probability", "confidence (mean probability of the label)"
    )  # fmt: skip
    axes.set(xlabel=f"variability (standard deviation of the {spread})", ylabel=level, ylim=(-0.02 * top, 1.02 * top))
    axes.set_xlim(left=min(-0.005, -0.02 * variability.max()))
    _margin(above, variability, wrong, "x", max(float(variability.max()), 1e-9))
    _margin(beside, confidence, wrong, "y", top)
    return figure


def _map_points(
    axes: "Axes", x: np.ndarray, y: np.ndarray, shade: np.ndarray, wrong: np.ndarray | None
) -> "ColorizingArtist | None":
    size = float(np.clip(9000 / max(len(x), 1), 5, 30))
    style: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": True, "alpha": 0.8}
    if np.isnan(shade).all():
        drawn = None
        axes.scatter(x, y, color=BLUE, **style)
    else:
        drawn = axes.scatter(x, y, c=shade, cmap=_shades(), vmin=0, vmax=1, **style)
    if wrong is not None:
        axes.scatter(
            x[wrong], y[wrong], s=size * 1.9, facecolors="none", edgecolors=NOISY, linewidths=0.8, rasterized=True,
            label="label known to be wrong",
        )  # fmt: skip
        axes.legend(loc="upper right")
    return drawn


def _map_cells(axes: "Axes", x: np.ndarray, y: np.ndarray, shade: np.ndarray, top: float) -> "ColorizingArtist | None":
    style: dict[str, Any] = {
        "gridsize": 60,
        "linewidths": 0.2,
        "rasterized": True,
        "extent": (0, max(x.max(), 1e-9), 0, top),
    }
    if np.isnan(shade).all():
        axes.hexbin(x, y, bins="log", cmap="Blues", mincnt=1, **style)
        return None
    return axes.hexbin(x, y, C=shade, reduce_C_function=np.mean, cmap=_shades(), vmin=0, vmax=1, **style)


def _shades() -> "Colormap":
    """Return viridis without its yellow end, which is hard to see on white."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    return ListedColormap(mpl.colormaps["viridis"](np.linspace(0, 0.85, 256)))


def _margin(axes: "Axes", values: np.ndarray, wrong: np.ndarray | None, along: Literal["x", "y"], top: float) -> None:
    orientation: Literal["vertical", "horizontal"] = "vertical" if along == "x" else "horizontal"
    edges = np.linspace(0, top, 41)
    groups = [values] if wrong is None else [values[~wrong], values[wrong]]
    axes.hist(groups, bins=edges.tolist(), stacked=True, orientation=orientation, color=[CLEAN, NOISY][: len(groups)])
    axes.tick_params(labelleft=along == "x", labelbottom=along == "y")
    axes.grid(False)
    if along == "x":
        axes.set_ylabel("examples")
    else:
        axes.set_xlabel("examples")
    axes.locator_params(axis="y" if along == "x" else "x", nbins=2)


def _need(table: "pd.DataFrame", *columns: str) -> None:
    missing = [c for c in columns if c not in table]
    if missing:
        raise NotApplicable(f"column '{missing[0]}' was not computed")
    if not len(table):
        raise NotApplicable("there are no train examples")
