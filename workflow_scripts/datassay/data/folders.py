"""Read a folder of images: root/{class}/image or root/{split}/{class}/image; a pool has no classes."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from datassay.data.images import SUFFIXES
from datassay.data.source import POOL
from datassay.errors import DatassayError, counted

if TYPE_CHECKING:
    import pandas as pd


def read_imagefolder(
    root: Path, name: str, split_of: Callable[[str], str | None], pool: bool = False
) -> tuple["pd.DataFrame", list[str]]:
    """List the images of a folder, sorted by path; the images themselves are read later.

    split_of: a split's name or None. Where every folder of the first level is called like a split and holds folders,
    these are splits, else they are classes. Images right inside the folder of the pool have no label.
    pool: the whole folder is the pool. Returns columns id, image (path relative to `root`), label, split (where there
    is one), file; and notes about files that are no images and were left out.
    """
    import pandas as pd

    if not root.is_dir():
        raise DatassayError(f"{name}: no such folder")
    folders = _folders(root)
    pools = {folder for folder in folders if split_of(folder.name) == POOL}
    by_split = bool(folders) and all(split_of(f.name) and (_folders(f) or f in pools) for f in folders)
    rows, others = [], 0
    for folder in folders if by_split else [root]:
        for class_folder, label in _classes(folder, pool or folder in pools):
            images = [file for file in _files(class_folder) if file.suffix.lower() in SUFFIXES]
            others += len(_files(class_folder)) - len(images)
            if not images:
                raise DatassayError(
                    f"{name}: no image in {class_folder.relative_to(root)}, the form is root/class/image or "
                    "root/split/class/image (split: see split.names)"
                )
            rows += [(folder.name, label, file.relative_to(root).as_posix()) for file in images]
    if not rows:
        raise DatassayError(f"{name}: no class folder, the form is root/class/image or root/split/class/image")
    table = pd.DataFrame(rows, columns=["split", "label", "image"], dtype=object)
    table["id"] = table["image"]
    table["file"] = [f"{name}/{path}" for path in table["image"]]
    left_out = counted(others, "file that is no image was", "files that are no images were")
    notes = [f"{left_out} left out."] if others else []
    return table if by_split else table.drop(columns="split"), notes


def _classes(folder: Path, pool: bool) -> list[tuple[Path, str | None]]:
    """Return the class folders with their names; the images right inside a pool are of no class."""
    named: list[tuple[Path, str | None]] = [(inner, inner.name) for inner in _folders(folder)]
    return [*named, (folder, None)] if pool and (not named or _files(folder)) else named


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _files(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_file()]
