"""From tables to one HTML file."""

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.reporting.explorer.columns import Shown, shown_columns, texts_of
from datassay.reporting.explorer.packing import SHEET, pack_array, pack_json, pack_thumbnails, thumbnail_side

if TYPE_CHECKING:
    import pandas as pd

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("load", "scales", "raster", "state", "plot", "filters", "controls", "selection", "main")


def build_page(
    assay: "pd.DataFrame",
    examples: "pd.DataFrame",
    maps: "Mapping[str, pd.DataFrame]",
    *,
    name: str,
    label_names: Sequence[str] = (),
    logits: np.ndarray | None = None,
    task: str = "classification",
    thumbnail: int = 64,
    text_length: int = 600,
    max_points: int = 50_000,
) -> str:
    """Return the page of a data set's train rows as one HTML file (UTF-8); equal arguments give equal bytes.

    assay: N rows as `join_assay` returns them; all its numbers, booleans and categories can be shown. examples: the
    same N rows with text, text_b, options or image. maps: {space: example_id, x, y of train rows}.
    logits: [N, C] of the last epoch, for the predicted label; of a regression [N, 1] predictions.
    thumbnail: longest side in pixels. text_length: characters shown of a text. max_points: above it a sample is shown,
    stratified by label; the page says so.

    Time and memory grow linearly with rows and columns; memory is about three times the file's size.
    Raises DatassayError where the tables do not belong together.
    """
    if not assay["example_id"].equals(examples["example_id"]):
        raise DatassayError("assay and examples: their example_id differ, delete assay.parquet and run again")
    train = np.flatnonzero((assay["split"] == "train").to_numpy())
    rows = train[_sample(assay["label"].iloc[train], max_points)]
    assay, examples = assay.iloc[rows].reset_index(drop=True), examples.iloc[rows].reset_index(drop=True)
    blobs: list[str] = []

    def stored(packed: str) -> int:
        blobs.append(packed)
        return len(blobs) - 1

    ids = assay["example_id"].astype(str)
    predicted = None if logits is None else _predicted(np.asarray(logits[rows]), label_names, task)
    about = {
        "name": name,
        "rows": len(rows),
        "total": len(train),
        "spaces": [_space(space, table, ids, stored) for space, table in maps.items()],
        "columns": [_column(column, stored) for column in shown_columns(assay, label_names, predicted)],
        "content": stored(pack_json({"example_id": ids.tolist(), **dict(texts_of(examples, text_length))})),
        "images": _images(examples, thumbnail, stored),
    }
    return _assembled(name, pack_json(about), blobs)


def _predicted(logits: np.ndarray, label_names: Sequence[str], task: str) -> np.ndarray:
    if task == "regression":
        return logits[:, 0].astype(float)
    names = label_names if len(label_names) == logits.shape[1] else list(map(str, range(logits.shape[1])))
    return np.array(names, dtype=object)[logits.argmax(axis=1)]


def _sample(labels: "pd.Series", most: int) -> np.ndarray:
    """Return at most `most` positions in order, from every label in proportion (largest remainders rounded up)."""
    import pandas as pd

    if len(labels) <= most:
        return np.arange(len(labels))
    rng = generator("explorer sample", len(labels), most)
    codes = pd.factorize(labels)[0] if labels.dtype.kind != "f" else np.zeros(len(labels), dtype=int)
    groups = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    wanted = np.array([len(group) * most / len(labels) for group in groups])
    sizes = np.floor(wanted).astype(int)
    sizes[np.argsort(sizes - wanted, kind="stable")[: most - sizes.sum()]] += 1
    chosen = [rng.choice(group, size, replace=False) for group, size in zip(groups, sizes, strict=True)]
    return np.sort(np.concatenate(chosen))


def _space(name: str, table: "pd.DataFrame", ids: "pd.Series", stored: Any) -> dict[str, Any]:
    places = table.set_index("example_id")[["x", "y"]].reindex(ids).to_numpy(dtype=np.float32)
    if not np.isfinite(places).any():
        raise DatassayError(f"map {name}: none of its example_id is among the train rows, delete it and run again")
    return {"name": name, "x": stored(pack_array(places[:, 0])), "y": stored(pack_array(places[:, 1]))}


def _column(column: Shown, stored: Any) -> dict[str, Any]:
    entry = {"name": column.name, "kind": column.kind, "family": column.family, "about": column.about}
    return entry | {"names": list(column.names), "values": stored(pack_array(column.values))}


def _images(examples: "pd.DataFrame", most: int, stored: Any) -> dict[str, Any] | None:
    if "image" not in examples:
        return None
    images = examples["image"].tolist()
    side = thumbnail_side(images, most)
    sheets = [stored(sheet) for sheet in pack_thumbnails(images, side)]
    return {"side": side, "across": max(1, SHEET // side), "sheets": sheets}


def _assembled(name: str, about: str, blobs: Sequence[str]) -> str:
    """Fill the template. Only the page's own script and style may run, by their hashes, and nothing may be loaded."""
    script = "\n".join((PAGE / f"{part}.js").read_text(encoding="utf-8") for part in SCRIPTS)
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    data = "\n".join(
        f'<script type="text/plain" id="blob{number}">{blob}</script>' for number, blob in enumerate(blobs)
    )
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(name),
        "style": style,
        "about": about,
        "data": data,
        "script": script,
    }
    page = (PAGE / "page.html").read_text(encoding="utf-8")
    before, *rest = page.split("{{")
    filled = [before]
    for piece in rest:
        key, _, after = piece.partition("}}")
        filled += [parts[key], after]
    return "".join(filled)


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
