"""From the config of a data set to its rows, whatever the source."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datassay.config import Dataset
from datassay.data.folders import read_imagefolder
from datassay.data.hub import read_hub
from datassay.data.source import POOL, ROLES, SPLITS, Source, wanted_columns, with_options
from datassay.data.tables import read_delimited, read_jsonl, read_parquet
from datassay.errors import DatassayError, did_you_mean
from datassay.registry import method

if TYPE_CHECKING:
    import pandas as pd

SplitOf = Callable[[str], str | None]


def load_source(settings: Dataset, root: Path, split_of: SplitOf) -> Source:
    """Read the rows of a data set; relative paths start at `root`.

    split_of: the split that a name stands for, or None. Rows are in the order of the source; of several files or hub
    splits in the order train, validation, valuation, test, pool. Raises DatassayError for what cannot be read.
    """
    if settings.source.startswith("builtin:"):
        source = _registered(settings.source)
    elif settings.source == "hub":
        source = _hub(settings, root, split_of)
    elif settings.source == "imagefolder":
        source = _imagefolders(settings, root, split_of)
    else:
        source = _files(settings, root, split_of)
    if not len(source.table):
        raise DatassayError(f"{settings.path or settings.source}: no rows")
    return with_options(source)


def _registered(name: str) -> Source:
    found = method("dataset", name.removeprefix("builtin:"))
    table = found.function()
    label = "image" if found.modality == "image" else "text"
    for column in (label, "label"):
        if column not in table:
            raise DatassayError(f"{name}: no column '{column}'{did_you_mean(column, table.columns)}")
    notes = list(table.attrs.get("notes", []))
    table = table[[role for role in ROLES if role in table]].astype(object).reset_index(drop=True)
    table = table.where(table.notna(), None)
    return Source(
        table.assign(file=name, part=name.removeprefix("builtin:"), row=range(len(table)), folder=None),
        "row",
        {role: role for role in ROLES},
        notes=notes,
    )


def _hub(settings: Dataset, root: Path, split_of: SplitOf) -> Source:
    wanted = wanted_columns(settings.columns)
    if isinstance(settings.path, dict):
        raise DatassayError("path: a hub data set has one name or folder, its splits are matched by split.names")
    folder = root / str(settings.path)
    table, label_names, notes = read_hub(settings, folder, wanted, split_of)
    table["file"] = [f"{settings.path} ({part})" for part in table["part"]]
    return Source(table.assign(folder=_image_root(folder)), "row", wanted, label_names, notes)


def _image_root(folder: Path) -> str:
    """Return the folder that image paths of a hub data set must not leave: its own or the hub's cache."""
    import datasets

    return str(folder if folder.is_dir() else datasets.config.HF_CACHE_HOME)


def _imagefolders(settings: Dataset, root: Path, split_of: SplitOf) -> Source:
    tables, notes = [], []
    for part, path in _paths(settings, split_of).items():
        pool = isinstance(settings.path, dict) and split_of(part) == POOL
        table, said = read_imagefolder(root / path, path, split_of, pool)
        if isinstance(settings.path, dict):
            table = table.assign(split=part, id=[f"{part}/{name}" for name in table["id"]])
        tables.append(table.assign(part=part, row=0, folder=str(root / path)))
        notes += said
    return Source(_joined(tables), "file", {}, notes=notes)


def _files(settings: Dataset, root: Path, split_of: SplitOf) -> Source:
    wanted = wanted_columns(settings.columns)
    several = isinstance(settings.path, dict)
    if several and "split" in wanted:
        raise DatassayError("columns.split: the splits are named by the files of path already, leave one of them out")
    tables: list[pd.DataFrame] = []
    label_names: list[str] | None = None
    for part, name in _paths(settings, split_of).items():
        path = root / name
        names: list[str] | None = None
        if settings.source == "parquet":
            table, names = read_parquet(path, name, wanted)
        elif settings.source == "jsonl":
            table = read_jsonl(path, name, wanted)
        else:
            table = read_delimited(path, name, wanted, settings.source)
        label_names = label_names or names
        more: dict[str, Any] = {"split": part} if several else {}
        tables.append(table.assign(file=name, part=part, folder=str(path.parent), **more))
    return Source(_joined(tables), "row" if settings.source == "parquet" else "line", wanted, label_names)


def _joined(tables: "list[pd.DataFrame]") -> "pd.DataFrame":
    import pandas as pd

    return pd.concat(tables, ignore_index=True).astype(object)


def _paths(settings: Dataset, split_of: SplitOf) -> dict[str, str]:
    """Return part -> path, in the order of the splits."""
    if not isinstance(settings.path, dict):
        return {Path(str(settings.path)).stem: str(settings.path)}
    for key in settings.path:
        if split_of(key) is None:
            raise DatassayError(f"path: '{key}' is no split{did_you_mean(key, SPLITS)} (see split.names)")
    return dict(sorted(settings.path.items(), key=lambda item: (SPLITS.index(str(split_of(item[0]))), item[0])))
