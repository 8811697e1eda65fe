"""A round's batch in the forms that people and their tools take."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datassay.annotation import label_studio, mturk
from datassay.storage import atomic_path, save_csv, save_json, save_text

if TYPE_CHECKING:
    import pandas as pd

CONTENTS = ("text", "text_b", "image")
IMAGES = "images"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"GIF8": ".gif", b"BM": ".bmp", b"RIFF": ".webp"}


def readable_batch(batch: "pd.DataFrame", examples: "pd.DataFrame", label_names: list[str]) -> "pd.DataFrame":
    """Return the batch for people: id, text (text_b) or image, suggested_label, confidence, and an empty label.

    batch: row (of examples), example_id, suggestion (class number or number), confidence. image: the path at which
    `save_images` writes the file. label_names: empty where labels are numbers.
    """
    import pandas as pd

    rows = examples.iloc[batch["row"].to_numpy()].reset_index(drop=True)
    table = pd.DataFrame({"id": batch["example_id"].to_numpy()})
    for name in ("text", "text_b"):
        if name in rows:
            table[name] = rows[name].to_numpy()
    if "image" in rows:
        table["image"] = image_names(rows)
    suggestion = batch["suggestion"].to_numpy()
    table["suggested_label"] = [label_names[int(s)] for s in suggestion] if label_names else suggestion.round(4)
    return table.assign(confidence=batch["confidence"].to_numpy().round(4), label="")


def image_names(rows: "pd.DataFrame") -> list[str]:
    """Return images/{place}-{id}{suffix} for every row: unique, and of harmless characters only."""
    return [
        f"{IMAGES}/{place:04d}-{_UNSAFE.sub('_', Path(example).stem)[-60:]}{_suffix(image['bytes'])}"
        for place, (example, image) in enumerate(zip(rows["example_id"], rows["image"], strict=True))
    ]


def _suffix(content: bytes) -> str:
    return next((suffix for start, suffix in _SUFFIXES.items() if content.startswith(start)), ".img")


def save_images(folder: Path, rows: "pd.DataFrame") -> None:
    """Write the images of some rows into a folder, which is there even where there are none."""
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        if "image" in rows:
            for name, image in zip(image_names(rows), rows["image"], strict=True):
                (temporary / Path(name).name).write_bytes(image["bytes"])


def save_exports(
    table: "pd.DataFrame", label_names: list[str], round_number: int, question: str, image_url: str, files: Any
) -> None:
    """Write batch.csv, Label Studio's tasks and interface, and MTurk's csv and page.

    table: as `readable_batch` gives it. image_url: what stands in front of an image's path in the tasks of Label Studio
    and MTurk. files: has the paths csv, label_studio, interface, mturk and mturk_page.
    """
    contents = [name for name in CONTENTS if name in table]
    asked = table.rename(columns={"id": "example_id"})
    if "image" in asked:
        asked = asked.assign(image=[f"{image_url}{name}" for name in asked["image"]])
    save_csv(files.csv, table)
    save_json(files.label_studio, label_studio.tasks(asked, contents, round_number, numbers=not label_names))
    save_text(files.interface, label_studio.interface(contents, label_names, question))
    save_csv(files.mturk, mturk.hits(asked, contents))
    save_text(files.mturk_page, mturk.page(contents, label_names, question))
