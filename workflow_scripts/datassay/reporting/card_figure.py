"""The figure of a data set: its classes or labels, its sizes, and a few examples."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import NotApplicable
from datassay.randomness import generator
from datassay.reporting.columns import content_text
from datassay.reporting.panels import blank_axes, read_pixels, show_pixels
from datassay.reporting.style import (
    BLUE,
    DARK,
    GREY,
    RED,
    SPLITS,
    new_figure,
    printable,
    themed,
    wrapped,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = SPLITS | {"pool": GREY}
MOST_CLASSES = 20  # bars drawn; the rest are added up
MOST_IMAGES = 2_000  # images opened for the size distribution


@themed
def data_card(examples: "pd.DataFrame", card: Mapping[str, Any], *, seed: int = 0) -> "Figure":
    """Draw class balance per split, text lengths or image sizes, and a few examples of a data set.

    examples: N rows as in examples.parquet. card: as in card.json, of which name, task and label_names are used.
    A regression shows the distribution of its labels in the place of classes.
    seed: of the choice of examples. Opens at most 2,000 images.
    """
    if not len(examples):
        raise NotApplicable("the data set is empty")
    names = [str(n) for n in card["label_names"]]
    kind = "image" if "image" in examples else "text"
    figure = new_figure(11.0, 8.4, str(card.get("name", "Data card")), _about(examples, names, card, kind))
    grid = figure.add_gridspec(2, 1, height_ratios=(1, 1.15))
    upper, lower = (figure.add_subfigure(grid[part, 0]) for part in range(2))
    left, right = upper.subplots(1, 2)
    _class_balance(left, examples, names, card) if names else _label_distribution(left, examples)
    (_image_sizes if kind == "image" else _text_lengths)(right, examples)
    upper.legend(handles=_split_handles(examples), loc="outside upper right", ncols=len(PARTS), handlelength=1.2)
    draw = _image_examples if kind == "image" else _text_examples
    noise = " (red: known to be wrong)" if _noisy(examples).any() else ""
    lower.suptitle(f"Examples by given label{noise}", x=0.012, ha="left", size=10.5, weight="bold")
    draw(lower, examples, names, generator(seed, "data card"))
    return figure


def _about(examples: "pd.DataFrame", names: Sequence[str], card: Mapping[str, Any], kind: str) -> str:
    counts = examples["split"].value_counts()
    known = examples["label"].dropna()
    about = {
        "regression": f"with labels from {known.min():g} to {known.max():g}",
        "multiple_choice": f"with {len(names)} options each",
    }.get(card.get("task", ""), f"in {len(names)} {'classes' if len(names) != 1 else 'class'}")
    order = [*PARTS, *sorted(set(counts.index) - set(PARTS))]
    splits = ", ".join(f"{counts[s]:,} {s}" for s in order if s in counts)
    kinds = f"{len(examples):,} {kind}{'s' if len(examples) != 1 else ''}"
    about = f"{kinds} {about} ({splits})."
    train = examples[examples["split"] == "train"]
    if _noisy(train).any():
        about += f" {_noisy(train).mean():.1%} of the train labels are known to be wrong."
    return about


def _noisy(examples: "pd.DataFrame") -> np.ndarray:
    if "is_noisy" not in examples:
        return np.zeros(len(examples), dtype=bool)
    return examples["is_noisy"].fillna(False).to_numpy(dtype=bool)


def _label_distribution(axes: "Axes", examples: "pd.DataFrame") -> None:
    known = examples["label"].notna()
    labels = examples["label"][known].to_numpy(dtype=float)
    _stacked(axes, labels, examples["split"][known], np.linspace(labels.min(), labels.max(), 31))
    axes.set(title=f"Labels: mean {labels.mean():.3g}, standard deviation {labels.std():.3g}")
    axes.set(xlabel="given label", ylabel="examples")


def _class_balance(axes: "Axes", examples: "pd.DataFrame", names: Sequence[str], card: Mapping[str, Any]) -> None:
    counts = examples.groupby(["label", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(range(len(names)), fill_value=0)
    labels = [printable(n, 22) for n in names]
    if len(counts) > MOST_CLASSES:
        order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
        kept = sorted(order[: MOST_CLASSES - 1])
        rest = counts.loc[order[MOST_CLASSES - 1 :]].sum()
        labels = [labels[i] for i in kept] + [f"{len(counts) - len(kept)} other classes"]
        counts = counts.loc[kept].reset_index(drop=True)
        counts.loc[len(counts)] = rest
    start = np.zeros(len(counts))
    for split, colour in PARTS.items():
        if split in counts:
            axes.barh(np.arange(len(counts)), counts[split], left=start, color=colour, height=0.75)
            start += counts[split].to_numpy()
    axes.set_yticks(np.arange(len(counts)), labels, size=8.5 if len(counts) <= 14 else 7)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    title, ylabel = "Class balance (given labels)", "class"
    if card.get("task") == "multiple_choice":
        title, ylabel = "Right option (given labels)", "option"
    axes.set(title=title, xlabel="examples", ylabel=ylabel, xlim=(0, start.max() * 1.02))


def _split_handles(examples: "pd.DataFrame") -> list[Any]:
    from matplotlib.patches import Patch

    there = set(examples["split"])
    return [Patch(color=colour, label=split) for split, colour in PARTS.items() if split in there]


def _stacked(axes: "Axes", values: np.ndarray, splits: "pd.Series", bins: np.ndarray) -> None:
    there = [s for s in PARTS if (splits == s).any()]
    groups = [values[(splits == s).to_numpy()] for s in there]
    axes.hist(groups, bins=bins.tolist(), stacked=True, color=[PARTS[s] for s in there])


def _text_lengths(axes: "Axes", examples: "pd.DataFrame") -> None:
    columns = [examples[name] for name in ("text", "text_b") if name in examples]
    if "options" in examples:
        columns.append(examples["options"].map(" ".join))
    count = np.array([[len(t.split()) if isinstance(t, str) else 0 for t in c] for c in columns]).sum(0).astype(float)
    longest = max(float(np.quantile(count, 0.995)), 1.0)
    step = max(1, int(np.ceil((longest + 1) / 40)))
    _stacked(axes, np.minimum(count, longest), examples["split"], np.arange(0, longest + 2 * step, step) - 0.5)
    axes.axvline(np.median(count), color="black", linestyle="--", linewidth=1)
    axes.set_title(f"Text length: median {np.median(count):.0f}, longest {count.max():,.0f} words")
    axes.set(xlabel="words" + (f" (last bar: {longest:.0f} or more)" if count.max() > longest else ""))
    axes.set_ylabel("examples")
    _whole_numbers(axes)


def _whole_numbers(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _image_sizes(axes: "Axes", examples: "pd.DataFrame") -> None:
    rows = np.linspace(0, len(examples) - 1, min(len(examples), MOST_IMAGES)).astype(int)
    opened = [read_pixels(examples["image"].iloc[row]) for row in rows]
    sizes = np.array([(i.shape[1], i.shape[0]) if i is not None else (0, 0) for i in opened])
    readable_ones = sizes[:, 0] > 0
    if not readable_ones.any():
        axes.text(0.5, 0.5, "no image could be read", ha="center", transform=axes.transAxes, color=GREY)
        axes.set(title="Image size", xlabel="width (pixels)", ylabel="height (pixels)")
        return
    distinct, counts = np.unique(sizes[readable_ones], axis=0, return_counts=True)
    if len(distinct) > 1:
        axes.scatter(
            distinct[:, 0],
            distinct[:, 1],
            s=8 + 120 * counts / counts.max(),
            color=BLUE,
            alpha=0.5,
            linewidths=0,
            rasterized=True,
        )
        axes.set(xlabel="width (pixels)", ylabel="height (pixels)", title=f"Image size: {len(distinct)} sizes")
        axes.set(xlim=(0, distinct[:, 0].max() * 1.08), ylim=(0, distinct[:, 1].max() * 1.08))
        return
    light = np.array([i.mean() / 255 if i is not None else np.nan for i in opened])
    known = np.isfinite(light)
    _stacked(
        axes,
        light[known],
        examples["split"].iloc[rows[known]],
        np.linspace(light[known].min(), light[known].max() + 1e-6, 41),
    )
    width, height = distinct[0]
    axes.set_title(f"Brightness (all images are {width} × {height} pixels)")
    note = f" of {len(rows):,} images" if len(rows) < len(examples) else ""
    axes.set(xlabel="mean brightness (0 black, 1 white)", ylabel=f"examples{note}")


def _choose(examples: "pd.DataFrame", classes: int, most: int, each: int, rng: np.random.Generator) -> list[list[int]]:
    """Return up to `each` random rows of every class that has any, for at most `most` classes."""
    labels = examples["label"].to_numpy()
    there = [c for c in range(classes) if (labels == c).any()][:most]
    return [rng.permutation(np.flatnonzero(labels == c))[:each].tolist() for c in there]


def _spread(labels: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """Return rows whose labels are spread over the range: one by chance of every part of the sorted labels."""
    order = np.argsort(labels, kind="stable")[: int(np.isfinite(labels).sum())]
    return [int(rng.choice(part)) for part in np.array_split(order, min(count, len(order)))]


def _text_examples(part: Any, examples: "pd.DataFrame", names: Sequence[str], rng: np.random.Generator) -> None:
    if names:
        chosen = _choose(examples, len(names), 9, 3, rng)
        rows = [rows[i] for i in range(3) for rows in chosen if len(rows) > i][:9]
    else:
        rows = _spread(examples["label"].to_numpy(dtype=float), 9, rng)
    axes = blank_axes(part)
    noisy = _noisy(examples)
    edge = 0.012 + 0.0079 * min(22, max((len(n) for n in names), default=6))
    for line, row in enumerate(sorted(rows, key=lambda row: examples["label"].iloc[row])):
        y = 1 - (line + 0.5) / max(len(rows), 6)
        example = examples.iloc[row]
        text = content_text(example)
        label = printable(names[example["label"]] if names else f"{example['label']:.3g}", 22)
        axes.text(edge, y, label, ha="right", va="center", size=9, weight="bold", color=RED if noisy[row] else DARK)
        limit = int((0.99 - edge) / 0.0071)
        axes.text(edge + 0.015, y, wrapped(text, limit, 2), ha="left", va="center", size=8.5, linespacing=1.25)


def _image_examples(part: Any, examples: "pd.DataFrame", names: Sequence[str], rng: np.random.Generator) -> None:
    labels = examples["label"].to_numpy()
    if names:
        chosen = _choose(examples, len(names), 12, 3, rng)
        titles = [names[labels[rows[0]]] for rows in chosen]
    else:
        spread = sorted(_spread(labels.astype(float), 24, rng), key=lambda row: labels[row])
        chosen = [spread[i : i + 3] for i in range(0, len(spread), 3)]
        titles = [f"{labels[rows[0]]:.4g} to {labels[rows[-1]]:.4g}" for rows in chosen]
    noisy = _noisy(examples)
    panels = part.subplots(3, len(chosen), squeeze=False)
    for column, (rows, title) in enumerate(zip(chosen, titles, strict=True)):
        for line in range(3):
            axes = panels[line, column]
            row = rows[line] if line < len(rows) else None
            show_pixels(axes, read_pixels(examples["image"].iloc[row]) if row is not None else None, absent=row is None)
        panels[0, column].set_title(wrapped(title, max(8, 84 // len(chosen)), 2), size=8.5, loc="center")
        for axes, row in zip(panels[:, column], rows, strict=False):
            if noisy[row]:
                axes.spines[:].set(visible=True, color=RED, linewidth=2.5)
