"""What the probes look like, and the clearest train examples of every category."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import NotApplicable
from datassay.reporting.columns import content_text
from datassay.reporting.panels import blank_axes, read_pixels, show_pixels
from datassay.reporting.style import DARK, GREY, SUITES, heading, new_figure, printable, readable, themed, wrapped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ACROSS = 10  # images in a row
TEXTS = 3  # texts of a suite or category
MOST_CLASSES = 10


def audit_table(
    categories: "pd.DataFrame", examples: "pd.DataFrame", label_names: Sequence[str], *, each: int = 10
) -> "pd.DataFrame":
    """Return the `each` most certain train rows of every category and class: what to look at first.

    categories: as `archaeology.records.category_table` returns. Columns: category, label, rank (1 = most votes; equal
    shares in the order of the data), vote_share, example_id, and text, text_b or image_path.
    """
    import pandas as pd

    train = categories[categories["half"] == "train"].reset_index(drop=True)
    shares = train[[f"share_{name}" for name in sorted(set(train["category"]))]].to_numpy().max(axis=1, initial=0)
    rows = examples.set_index("example_id").reindex(train["example_id"])
    named = np.asarray(label_names, dtype=object)[rows["label"].to_numpy(dtype=np.int64)]
    table = pd.DataFrame({"category": train["category"], "label": named, "vote_share": shares})
    table["example_id"] = train["example_id"]
    for name in ("text", "text_b"):
        if name in rows:
            table[name] = rows[name].to_numpy()
    if "image" in rows:
        table["image_path"] = [image["path"] for image in rows["image"]]
    table = table.sort_values(["category", "label", "vote_share"], ascending=[True, True, False], kind="stable")
    table.insert(2, "rank", table.groupby(["category", "label"]).cumcount() + 1)
    return table[table["rank"] <= each].reset_index(drop=True)


@themed
def probe_gallery(
    probes: "pd.DataFrame", examples: "pd.DataFrame", label_names: Sequence[str], *, name: str = ""
) -> "Figure":
    """Draw some probes of every suite: a row of images, or a few texts, with the label they are trained with."""
    suites = [suite for suite in SUITES if (probes["suite"] == suite).any()]
    examples = examples.set_index("example_id")
    title, note = heading("probes", name), "Some probes of every suite, and the label that they are trained with"
    chosen = {
        suite: probes[probes["suite"] == suite].head(ACROSS if "image" in examples else TEXTS) for suite in suites
    }
    captions = {
        suite: [_trained_as(row, examples, label_names) for _, row in rows.iterrows()] for suite, rows in chosen.items()
    }
    found = {suite: examples.loc[rows["example_id"]] for suite, rows in chosen.items()}
    note += "; changed labels as original → trained."
    if "image" in examples:
        return _image_rows({s: list(rows["image"]) for s, rows in found.items()}, captions, title, note)
    return _text_rows(found, captions, title, note)


@themed
def category_gallery(audit: "pd.DataFrame", examples: "pd.DataFrame", *, name: str = "") -> "Figure":
    """Draw the train rows that are most clearly of each category, one of every class: images in rows, or texts.

    audit: as `audit_table` returns it.
    """
    if not len(audit):
        raise NotApplicable("no train row was assigned to a category")
    examples = examples.set_index("example_id")
    is_image = "image" in examples
    best = audit[audit["rank"] == 1].sort_values(["category", "vote_share"], ascending=[True, False], kind="stable")
    rows = {str(c): part.head(MOST_CLASSES if is_image else TEXTS) for c, part in best.groupby("category", sort=True)}
    captions = {
        c: [f"{printable(r['label'], 14)}, {r['vote_share']:.0%}" for _, r in part.iterrows()]
        for c, part in rows.items()
    }
    title = heading("clearest examples of every category", name)
    note = "Of the train rows, the one with the most votes in every class: its label, and the share of the votes."
    found = {c: examples.loc[part["example_id"]] for c, part in rows.items()}
    if is_image:
        return _image_rows({c: list(part["image"]) for c, part in found.items()}, captions, title, note)
    return _text_rows(found, captions, title, note)


def _trained_as(row: "pd.Series", examples: "pd.DataFrame", label_names: Sequence[str]) -> str:
    label = int(examples["label"][row["example_id"]])
    shown = printable(label_names[label], 12)
    changed = 0 <= row["original_label"] != label
    return (
        f"{printable(label_names[row['original_label']], 8)} → {printable(label_names[label], 8)}" if changed else shown
    )


def _image_rows(images: dict[str, list[Any]], captions: dict[str, list[str]], title: str, note: str) -> "Figure":
    across = max(map(len, images.values()))
    figure = new_figure(max(7.0, 1.5 + 1.05 * across), 0.9 + 1.32 * len(images), title, note)
    panels = figure.subplots(len(images), across, squeeze=False)
    for line, (suite, own) in zip(panels, images.items(), strict=True):
        for place, axes in enumerate(line):
            there = place < len(own)
            show_pixels(axes, read_pixels(own[place]) if there else None, absent=not there)
            if there:
                axes.set_title(captions[suite][place], size=7, loc="center", weight="normal", color=DARK)
        words = readable(suite).replace(" ", "\n")
        line[0].set_ylabel(words, rotation=0, ha="right", va="center", color=SUITES[suite], weight="bold", size=8.5)
    return figure


def _text_rows(texts: "dict[str, pd.DataFrame]", captions: dict[str, list[str]], title: str, note: str) -> "Figure":
    lines = [
        (suite if place == 0 else "", captions[suite][place], wrapped(content_text(row), 96, 2))
        for suite, rows in texts.items()
        for place, (_, row) in enumerate(rows.reset_index().iterrows())
    ]
    figure = new_figure(12.0, 0.9 + 0.4 * len(lines), title, note)
    axes = blank_axes(figure)
    for number, (suite, caption, text) in enumerate(lines):
        y = 1 - (number + 0.5) / len(lines)
        if suite:
            axes.axhline(1 - number / len(lines), color="#E8EAED", linewidth=0.8)
            axes.text(0.0, y, readable(suite), va="center", size=8.5, weight="bold", color=SUITES[suite])
        axes.text(0.15, y, caption, va="center", size=8, color=GREY)
        axes.text(0.325, y, text, va="center", size=8, linespacing=1.2)
    return figure
