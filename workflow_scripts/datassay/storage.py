"""Atomic saving and checked loading: a file that exists is whole, and what is loaded has the shape it should have.

Everything is written to a temporary name in the same folder, flushed to disk and renamed. No pickle is ever read.
"""

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.checkpoints import crash_point
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

PathLike = str | os.PathLike[str]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; a file or folder written there takes its place when the block ends well.

    Raises DatassayError, naming the file, when the disk is full or the folder cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.tmp-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        for file in sorted(temporary.rglob("*")) if temporary.is_dir() else [temporary]:
            if file.is_file():
                _sync(file)
        crash_point("before_rename")
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        os.replace(temporary, target)
        _sync(target.parent)
    except OSError as error:
        reason = error.strerror or f"the disk is full or the quota used up: {error}"  # numpy tells the counts alone
        raise DatassayError(f"{target}: cannot write: {reason}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(OSError):
                temporary.unlink()
    crash_point("write")


def save_array(path: PathLike, array: np.ndarray) -> None:
    """Save one array as .npy."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def load_array(
    path: PathLike,
    *,
    shape: Sequence[int | None] | None = None,
    dtype: Any = None,
    memory_map: bool = False,
    finite: bool = True,
) -> np.ndarray:
    """Load one .npy file and check it.

    shape: what is expected, None for a free axis. finite: refuse NaN and infinity (not checked when memory-mapped).
    Raises DatassayError naming the file, what was found and what was expected.
    """
    try:
        array = np.load(path, mmap_mode="r" if memory_map else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatassayError(f"{path}: not a readable .npy file ({error}), delete it and run again") from error
    if shape is not None and not _matches(array.shape, shape):
        expected = ", ".join("any" if n is None else str(n) for n in shape)
        raise DatassayError(f"{path}: shape {array.shape}, expected ({expected}), delete it and run again")
    if dtype is not None and array.dtype != np.dtype(dtype):
        raise DatassayError(f"{path}: type {array.dtype}, expected {np.dtype(dtype)}")
    if finite and not memory_map and array.dtype.kind == "f" and not np.isfinite(array).all():
        row = np.argwhere(~np.isfinite(array))[0].tolist()
        raise DatassayError(f"{path}: value {array[tuple(row)]} at {row}, only finite numbers are allowed")
    return array


def _matches(found: tuple[int, ...], expected: Sequence[int | None]) -> bool:
    return len(found) == len(expected) and all(e is None or f == e for f, e in zip(found, expected, strict=True))


@contextmanager
def created_array(path: PathLike, shape: tuple[int, ...], dtype: Any) -> Iterator[np.ndarray]:
    """Yield a memory-mapped array to be filled; it appears under `path` when the block ends well."""
    with atomic_path(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        yield array
        array.flush()
        del array


def save_arrays(path: PathLike, **arrays: np.ndarray) -> None:
    """Save several named arrays as one .npz."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_member(path: PathLike, name: str, *, rows: int | None = None) -> np.ndarray:
    """Load one array [rows, ...] of a .npz file; rows None: as many as there are.

    Raises DatassayError naming the file and what was found.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive[name]
    except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
        raise DatassayError(f"{path}: '{name}' cannot be read ({error}), delete it and run again") from error
    if rows is not None and len(array) != rows:
        raise DatassayError(f"{path}: {len(array)} rows, expected {rows}, delete it and run again")
    return array


def load_members(path: PathLike) -> dict[str, np.ndarray]:
    """Load all arrays of a .npz file. Raises DatassayError naming the file and what was found."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
        raise DatassayError(f"{path}: cannot be read ({error}), delete it and run again") from error


def save_table(path: PathLike, table: "pd.DataFrame") -> None:
    """Save a table as parquet (zstd); `table.attrs` is kept."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd", engine="pyarrow")


def load_table(path: PathLike, columns: Sequence[str] | None = None, *, rows: int | None = None) -> "pd.DataFrame":
    """Load a parquet table, checking that it has the columns asked for and, where given, the number of rows."""
    import pandas as pd

    try:
        table = pd.read_parquet(path, columns=None if columns is None else list(columns), engine="pyarrow")
    except Exception as error:  # pyarrow raises many kinds on a damaged file or a missing column
        reason = str(error).split("\n", 1)[0]
        raise DatassayError(f"{path}: cannot be read ({reason}), delete it and run again") from error
    if rows is not None and len(table) != rows:
        raise DatassayError(f"{path}: {len(table)} rows, expected {rows}, delete it and run again")
    return table


def tables_by_model(paths: Sequence[PathLike]) -> "dict[str, dict[str, pd.DataFrame]]":
    """Load {model: {name: table}} from files that lie in .../{model}/{name}.parquet."""
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for path in map(Path, paths):
        tables.setdefault(path.parent.name, {})[path.stem] = load_table(path)
    return tables


# What a spreadsheet would run as a formula: not a plain number such as -1; behind apostrophes, so that `read_csv` can
# take off exactly the one that `save_csv` put there.
_FORMULA = re.compile(r"'*[=+\-@\t\r](?!(?<=[+-])\d+(\.\d*)?\Z)")


def save_csv(path: PathLike, table: "pd.DataFrame") -> None:
    """Save a table as csv for people; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    safe = table.copy()
    for name in safe.columns:
        if safe[name].dtype.kind not in "biuf":
            safe[name] = safe[name].map(
                lambda value: f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
            )
    with atomic_path(path) as temporary:
        safe.to_csv(temporary, index=False)


# Read as text whatever they look like: ids and class names may be digits.
TEXT_COLUMNS = ("example_id", "label", "suggested_label", "true_label", "text", "text_b", "image_path")


def read_csv(path: PathLike) -> "pd.DataFrame":
    """Load what `save_csv` wrote, without its apostrophes; empty cells are missing, texts such as "NA" stay texts."""
    import pandas as pd

    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT_COLUMNS, str))
    except (OSError, ValueError) as error:
        raise DatassayError(f"{path}: cannot be read ({error}), delete it and run again") from error
    for name in table.columns.intersection(list(TEXT_COLUMNS)):
        table[name] = table[name].map(without_guard, na_action="ignore")
    return table


def without_guard(text: str) -> str:
    """Return a text of a csv without the apostrophe that `save_csv` put in front of it, where it did."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text


def save_json(path: PathLike, content: Any) -> None:
    """Save JSON with sorted keys, so that equal content is equal bytes."""
    save_text(path, json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def load_json(path: PathLike) -> Any:
    """Load JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatassayError(f"{path}: not readable as JSON ({error}), delete it and run again") from error


def save_text(path: PathLike, text: str) -> None:
    """Save a text file."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
