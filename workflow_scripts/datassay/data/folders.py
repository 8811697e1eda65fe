"""Read a folder of images: root/{class}/image or root/{split}/{class}/image."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from datassay.data.images import SUFFIXES
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd


def read_imagefolder(root: Path, name: str, split_of: Callable[[str], str | None]) -> tuple["pd.DataFrame", list[str]]:
    """List the images of a folder, sorted by path; the images themselves are read later.

    split_of: a split's name or None. Where every folder of the first level is called like a split and holds folders,
    these are splits, else they are classes. Returns columns id, image (path relative to `root`), label, split (where
    there is one), file; and notes about files that are no images and were left out.
    """
    import pandas as pd

    if not root.is_dir():
        raise DatassayError(f"{name}: no such folder")
    folders = _folders(root)
    by_split = bool(folders) and all(split_of(folder.name) and _folders(folder) for folder in folders)
    rows, others = [], 0
    for folder in folders:
        for class_folder in _folders(folder) if by_split else [folder]:
            images = [file for file in _files(class_folder) if file.suffix.lower() in SUFFIXES]
            others += len(_files(class_folder)) - len(images)
            if not images:
                raise DatassayError(
                    f"{name}: no image in {class_folder.relative_to(root)}, the form is root/class/image or "
                    "root/split/class/image (split: see split.names)"
                )
            rows += [(folder.name, class_folder.name, file.relative_to(root).as_posix()) for file in images]
    if not rows:
        raise DatassayError(f"{name}: no class folder, the form is root/class/image or root/split/class/image")
    table = pd.DataFrame(rows, columns=["split", "label", "image"], dtype=object)
    table["id"] = table["image"]
    table["file"] = [f"{name}/{path}" for path in table["image"]]
    notes = [f"{others} files that are no images were left out."] if others else []
    return table if by_split else table.drop(columns="split"), notes


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _files(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_file()]
