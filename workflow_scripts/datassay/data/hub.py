"""Load a data set through `datasets`: from the hub at a pinned revision, its offline cache, or a local folder."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datassay.config import Dataset
from datassay.data.source import SPLITS, require_columns
from datassay.data.tables import from_arrow
from datassay.errors import DatassayError, counted

if TYPE_CHECKING:
    import pandas as pd


def read_hub(
    settings: Dataset, folder: Path, wanted: dict[str, str], split_of: Callable[[str], str | None]
) -> tuple["pd.DataFrame", list[str] | None, list[str]]:
    """Load every split of the data set that `split.names` knows, in the order train, validation, valuation, test, pool.

    folder: the path of the config seen from the checkout; where such a folder exists it is loaded (hub layout, or
    written by save_to_disk) and the network is never asked. A split whose labels are all -1 or empty, the way the
    hub hides labels, is left out with a note; so are splits of other names.

    Returns columns by role, `split` (unless the config names a split column), `part` (the hub's name of the split) and
    `row`; the label names; notes. Raises DatassayError that says what was asked for and how to do without network.
    """
    import pandas as pd

    splits = _load(settings, folder)
    by_column = "split" in wanted
    known = {name: data for name, data in splits.items() if by_column or split_of(name)}
    if not known:
        raise DatassayError(
            f"{settings.path}: its splits are {', '.join(splits)}, none is listed in split.names "
            f"({', '.join(SPLITS)}), name one there"
        )
    notes = [
        f"Split '{name}' of the hub was left out, split.names does not list it." for name in splits if name not in known
    ]
    tables, label_names = [], None
    for name in known if by_column else sorted(known, key=lambda name: (SPLITS.index(str(split_of(name))), name)):
        data = known[name]
        require_columns(f"{settings.path} ({name})", wanted, data.column_names)
        label_names = getattr(data.features[wanted["label"]], "names", None) or label_names
        table = from_arrow(_encoded_images(data, wanted).with_format("arrow")[:], wanted)
        if len(table) and ((table["label"] == -1) | (table["label"] == "")).all():
            hidden = counted(len(table), "row was", "rows were")
            notes.append(f"Split '{name}' of the hub hides its labels, its {hidden} left out.")
            continue
        tables.append(table.assign(part=name, **({} if by_column else {"split": name})))
    if not tables:
        raise DatassayError(f"{settings.path}: no split has labels")
    return pd.concat(tables, ignore_index=True), label_names, notes


def _load(settings: Dataset, folder: Path) -> dict[str, Any]:
    import datasets

    local = folder.is_dir()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            if local and any((folder / marker).is_file() for marker in ("dataset_dict.json", "state.json")):
                loaded = datasets.load_from_disk(str(folder), keep_in_memory=True)
            elif local:
                loaded = datasets.load_dataset(
                    str(folder), name=settings.subset, cache_dir=scratch, keep_in_memory=True
                )
            else:
                loaded = datasets.load_dataset(str(settings.path), name=settings.subset, revision=settings.revision)
        except Exception as error:  # each kind of fault of network, cache, builder and script has its own exception
            raise DatassayError(_complaint(settings, local, error)) from error
    return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}


def _complaint(settings: Dataset, local: bool, error: Exception) -> str:
    asked = [f"subset '{settings.subset}'"] if settings.subset else []
    asked += [f"revision '{settings.revision}'"] if settings.revision else []
    what = f"{settings.path} ({', '.join(asked)})" if asked else str(settings.path)
    reason = " ".join(str(error).split("\n", 1)[0].split()) or type(error).__name__
    if local:
        return f"{what}: the folder cannot be loaded as a hub data set ({type(error).__name__}: {reason})"
    return (
        f"hub data set {what} cannot be loaded ({type(error).__name__}: {reason}); without network, run 'hf download "
        f"--repo-type dataset {settings.path} --local-dir FOLDER' on another machine and set path: FOLDER"
    )


def _encoded_images(data: Any, wanted: dict[str, str]) -> Any:
    """Have image columns as encoded bytes, not decoded."""
    import datasets

    name = wanted.get("image")
    if name and isinstance(data.features[name], datasets.Image):
        return data.cast_column(name, datasets.Image(decode=False))
    return data
