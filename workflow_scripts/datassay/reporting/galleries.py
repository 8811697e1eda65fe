"""The gallery of suspicious examples."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datassay.errors import NotApplicable
from datassay.reporting.columns import content_text, count_flagged
from datassay.reporting.panels import blank_axes, read_pixels, show_pixels
from datassay.reporting.style import (
    DARK,
    GREEN,
    GREY,
    RED,
    heading,
    new_figure,
    printable,
    themed,
    wrapped,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@themed
def suspicious_gallery(
    suspicious: "pd.DataFrame", examples: "pd.DataFrame | None" = None, *, most: int = 24, name: str = ""
) -> "Figure":
    """Draw the most suspicious examples with given and suggested label, and the true one where it is known.

    suspicious: as `list_suspicious` returns. examples: for images, the table that holds them, with example_id.
    most: rows drawn (half of it for texts), and no more than are flagged.
    """
    if not len(suspicious):
        raise NotApplicable("no suspicious example was listed")
    suspicious = suspicious.head(count_flagged(suspicious))
    if not len(suspicious):
        raise NotApplicable("no example looks mislabelled: no other label is more likely than the given one")
    if examples is None or "image" not in examples:
        return _text_gallery(suspicious, most, name)
    suspicious = suspicious.head(most)
    found = examples[examples["example_id"].isin(suspicious["example_id"])].set_index("example_id")["image"]
    images = [found.get(example_id) for example_id in suspicious["example_id"]]
    return _image_gallery(suspicious, images, name)


_LEGEND = "given label → suggested label"
_TRUTH = "; green: the suggestion is the true label, red: it is not"


def _text_gallery(suspicious: "pd.DataFrame", most: int, name: str) -> "Figure":
    rows = suspicious.head(max(1, most // 2))
    changes = [_change(row, 19) for _index, row in rows.iterrows()]
    edge = 0.03 + 0.0073 * (max(map(len, changes)) + 2)
    texts = [wrapped(content_text(row), int((0.99 - edge) / 0.0068), 2) for _index, row in rows.iterrows()]
    step = 0.29 + 0.16 * max(text.count("\n") for text in texts)
    figure = new_figure(
        11.5, 0.85 + step * len(rows), heading("most likely mislabelled", name), _LEGEND + _truth_note(rows)
    )
    axes = blank_axes(figure)
    for line, (_index, row) in enumerate(rows.iterrows()):
        y = 1 - (line + 0.5) / len(rows)
        if line:
            axes.axhline(1 - line / len(rows), color="#E8EAED", linewidth=0.8)
        axes.text(0.012, y, f"{row['rank']}", ha="right", va="center", size=8.5, color=GREY)
        axes.text(0.025, y, changes[line], ha="left", va="center", size=8.5, weight="bold", color=_verdict(row))
        axes.text(edge, y, texts[line], ha="left", va="center", size=8.5, linespacing=1.2)
    return figure


def _image_gallery(suspicious: "pd.DataFrame", images: Sequence[Any], name: str) -> "Figure":
    rows = suspicious
    across = min(8, max(4, len(rows)))
    down = -(-len(rows) // across)
    short = all(len(_change(row, 19)) <= 15 for _index, row in rows.iterrows())
    figure = new_figure(
        11.0,
        0.8 + (1.45 if short else 1.62) * down,
        heading("most likely mislabelled", name),
        _LEGEND + _truth_note(rows),
    )
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (index, (_label, row)) in zip(panels, enumerate(rows.iterrows()), strict=False):
        show_pixels(axes, read_pixels(images[index]))
        axes.set_title(
            _change(row, 19) if short else _change(row, 16).replace(" → ", "\n→ "),
            size=8.5, loc="center", color=_verdict(row),
        )  # fmt: skip
    for axes in panels[len(rows) :]:
        show_pixels(axes, None, absent=True)
    return figure


def _or_dash(label: object) -> str:
    return label if isinstance(label, str) else "–"


def _change(row: "pd.Series", limit: int) -> str:
    return f"{printable(row['label'], limit)} → {printable(_or_dash(row['suggested_label']), limit)}"


def _truth_note(rows: "pd.DataFrame") -> str:
    return _TRUTH if "true_label" in rows and rows["true_label"].notna().any() else ""


def _verdict(row: "pd.Series") -> str:
    true = row.get("true_label")
    if not isinstance(true, str):
        return DARK
    return GREEN if true == row["suggested_label"] else RED
