"""One look for all figures: theme, colours that the colour-blind can tell apart, safe text, reproducible files."""

import functools
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from datassay.errors import NotApplicable
from datassay.storage import PathLike, atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

# Okabe and Ito's palette.
BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SKY, YELLOW, BLACK, GREY, LIGHT, DARK = "#56B4E9", "#F0E442", "#000000", "#6B7280", "#D5D9DF", "#1F2430"
CLEAN, NOISY = "#8FB8D8", RED
SPLITS = {"train": BLUE, "validation": ORANGE, "valuation": GREEN, "test": PURPLE}
FAMILIES = {
    "training_dynamics": BLUE,
    "ensemble": SKY,
    "mc_dropout": GREEN,
    "static": ORANGE,
    "pretrained": PURPLE,
    "label_quality": RED,
    "archaeology": YELLOW,
    "value": BLACK,
    "combined": "#7A5195",
}
SUITES = {
    "typical": GREEN,
    "atypical": ORANGE,
    "random_outputs": RED,
    "corrupted": PURPLE,
    "out_of_distribution": SKY,
    "random_inputs": BLACK,
    "ordinary": GREY,
    "train": BLUE,
}
FONT = "DejaVu Sans"  # shipped with matplotlib, so that a figure is the same on every machine
MISSING_GLYPH = "□"
_INVISIBLE = ("Cc", "Cf", "Cs", "Mn", "Me")

_SETTINGS: dict[str, Any] = {
    "font.family": FONT,
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.edgecolor": "#9AA1AB",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "grid.color": "#E8EAED",
    "grid.linewidth": 0.8,
    "text.color": DARK,
    "axes.labelcolor": DARK,
    "xtick.color": "#454B57",
    "ytick.color": "#454B57",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "datassay",
    "svg.fonttype": "path",
}


@contextmanager
def theme() -> Iterator[None]:
    """Apply the look to what is drawn inside the block, and to nothing else."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)  # type: ignore[arg-type]
        yield


def themed(draw: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """Draw within the theme; where the function raises NotApplicable, return a figure that says why."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        with theme():
            try:
                return draw(*args, **kwargs)
            except NotApplicable as reason:
                return _message(draw.__name__.replace("_", " ").capitalize(), str(reason), str(kwargs.get("name", "")))

    return styled


def new_figure(width: float, height: float, title: str, subtitle: str = "") -> "Figure":
    """Return a figure (inches) with its title, what it shows in smaller letters, and the rest laid out below."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    lines = textwrap.wrap(subtitle, int(width * 14))
    top = 0.38 + 0.19 * len(lines)
    layout = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1 - top / height - 0.01), w_pad=0.06, h_pad=0.06)
    figure = Figure(figsize=(width, height), layout=layout)
    figure.text(0.12 / width, 1 - 0.12 / height, printable(title), size=13, weight="bold", va="top")
    figure.text(
        0.12 / width, 1 - 0.40 / height, printable("\n".join(lines), lines=True), size=9.5, color=GREY, va="top"
    )
    return figure


def heading(title: str, name: str) -> str:
    """Return "name: title", or the title alone."""
    return f"{name}: {title}" if name else title[:1].upper() + title[1:]


def _message(title: str, reason: str, name: str) -> "Figure":
    figure = new_figure(7.0, 2.4, heading(title, name))
    axes = figure.add_subplot()
    axes.set_axis_off()
    text = "\n".join(textwrap.wrap(printable(reason), 70))
    axes.text(0.5, 0.5, f"Nothing to draw\n{text}", ha="center", va="center", color=GREY, size=11)
    return figure


@functools.cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())


def printable(text: object, limit: int | None = None, *, lines: bool = False) -> str:
    """Return text that can be drawn: white space collapsed, glyphs the font lacks as □, cut to `limit` characters.

    lines: keep line breaks. Dollar signs are escaped, they would start a formula.
    """
    parts = str(text).split("\n") if lines else [str(text)]
    kept = []
    for part in parts:
        visible = "".join(c for c in part if c.isspace() or unicodedata.category(c) not in _INVISIBLE)
        kept.append("".join(c if ord(c) in _glyphs() else MISSING_GLYPH for c in " ".join(visible.split())))
    whole = "\n".join(kept)
    if limit is not None and len(whole) > limit:
        whole = whole[: limit - 1].rstrip() + "…"
    return whole.replace("$", r"\$")


def wrapped(text: object, width: int, lines: int) -> str:
    """Return drawable text in at most `lines` lines of `width` characters, with an ellipsis where it is cut."""
    return "\n".join(
        textwrap.wrap(
            printable(text, width * lines * 2), width, max_lines=lines, placeholder=" …", break_long_words=True
        )
    )


METRICS = {"mcc": "MCC", "f1": "F1", "macro_f1": "macro F1", "auroc": "AUROC", "pearson": "Pearson correlation",
           "spearman": "Spearman correlation"}  # fmt: skip


def metric_name(metric: str) -> str:
    """Return a metric's name as it is shown."""
    return METRICS.get(metric, readable(metric))


def readable(column: str) -> str:
    """Return a column's name as it is shown."""
    return printable(column.replace("_", " "), 34)


def spread_labels(heights: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Move label positions apart to at least `gap`, in their order and as little as needed, within [low, high].

    Pools neighbours that collide and centres each pool on its mean wish (isotonic regression of the shifted wishes).
    """
    wishes = np.asarray(heights, dtype=float)
    if not len(wishes):
        return wishes
    gap = min(gap, (high - low) / max(len(wishes) - 1, 1))
    order = np.argsort(wishes, kind="stable")
    shifted = wishes[order] - gap * np.arange(len(wishes))
    pools: list[list[float]] = []  # mean, size
    for wish in shifted:
        pools.append([wish, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, size = pools.pop()
            before = pools[-1]
            before[0] = (before[0] * before[1] + mean * size) / (before[1] + size)
            before[1] += size
    flat = np.concatenate([np.full(int(size), mean) for mean, size in pools])
    flat = np.clip(flat, low, high - gap * (len(wishes) - 1))
    placed = np.empty(len(wishes))
    placed[order] = flat + gap * np.arange(len(wishes))
    return placed


def label_bars(axes: "Axes", lengths: Sequence[float], texts: Sequence[str], room: float) -> None:
    """Write a text at the end of every horizontal bar, `room` (in units of x) away from it."""
    for row, (length, text) in enumerate(zip(lengths, texts, strict=True)):
        axes.text(
            length + room, row, text, va="center", ha="left", size=8, color=GREY, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip


def save_figure(figure: "Figure", path: PathLike) -> None:
    """Save a figure, atomically, in the format its name ends in; equal figures give equal bytes.

    Raises DatassayError where it cannot be written.
    """
    kind = Path(path).suffix.removeprefix(".").lower() or "png"
    undated: dict[str, dict[str, None]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    }
    with theme(), atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=150, metadata=undated.get(kind))
