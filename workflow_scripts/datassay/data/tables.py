"""Read csv, tsv, jsonl and parquet, exactly: nothing is guessed, cut or converted, and a fault names its line."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datassay.data.source import require_columns
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DELIMITERS = {"csv": ",", "tsv": "\t"}
LONGEST_FIELD = 2**31 - 1


def read_delimited(path: Path, name: str, wanted: dict[str, str], kind: str) -> "pd.DataFrame":
    """Read a csv or tsv file (UTF-8 with or without byte order mark, any line ends, quoted line breaks).

    path: the file. name: how messages call it. wanted: role -> column. kind: csv or tsv.
    Returns a column of str or None (an empty field) per role, and `row`, the line on which the row begins.
    Raises DatassayError for what is not UTF-8, unbalanced quotes, a row of another length than the header.
    """
    import pandas as pd

    rows = records(decode(read_bytes(path, name), name), name, DELIMITERS[kind])
    _, header = next(rows, (0, []))
    require_columns(name, wanted, header)
    twice = [column for column in wanted.values() if header.count(column) > 1]
    if twice:
        raise DatassayError(f"{name}:1: two columns are named '{twice[0]}', rename one")
    places = {role: header.index(column) for role, column in wanted.items()}
    columns: dict[str, list[Any]] = {role: [] for role in (*wanted, "row")}
    for line, record in rows:
        if len(record) != len(header):
            raise DatassayError(f"{name}:{line}: {len(record)} fields, the header has {len(header)}")
        for role, place in places.items():
            columns[role].append(record[place] or None)
        columns["row"].append(line)
    return pd.DataFrame(columns, dtype=object)


def records(text: str, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which it begins, fields) of every record that is not an empty line.

    Raises DatassayError, `name` and the line in front, for quotes that are not balanced.
    """
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DatassayError(
                    f"{name}:{line}: {error}; a field with a quote is itself quoted and its quotes doubled"
                ) from error
            if record:
                yield line, record
    finally:
        csv.field_size_limit(limit)


def read_jsonl(path: Path, name: str, wanted: dict[str, str]) -> "pd.DataFrame":
    """Read a file of one JSON object per line; a key that a line lacks is missing there.

    Returns a column of values per role, and `row`, the line. Raises DatassayError for a line that is no JSON object.
    """
    import pandas as pd

    columns: dict[str, list[Any]] = {role: [] for role in (*wanted, "row")}
    keys: dict[str, None] = {}
    for line, text in enumerate(decode(read_bytes(path, name), name).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DatassayError(f"{name}:{line}: not valid JSON ({error})") from error
        if not isinstance(record, dict):
            raise DatassayError(f"{name}:{line}: found {type(record).__name__}, each line is one JSON object")
        keys.update(dict.fromkeys(record))
        for role, key in wanted.items():
            columns[role].append(record.get(key))
        columns["row"].append(line)
    require_columns(name, wanted, list(keys))
    return pd.DataFrame({role: pd.Series(values, dtype=object) for role, values in columns.items()})


def read_parquet(path: Path, name: str, wanted: dict[str, str]) -> tuple["pd.DataFrame", list[str] | None]:
    """Read the wanted columns of a parquet file.

    Returns a column of values per role and `row` (from 0), and the label names where `datasets` wrote the file.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            require_columns(name, wanted, schema.names)
            table = file.read(columns=list(dict.fromkeys(wanted.values())))
    except DatassayError:
        raise
    except Exception as error:  # pyarrow raises many kinds on a damaged file
        raise DatassayError(f"{name}: not a readable parquet file ({_first_line(error)})") from error
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    label = features.get(wanted.get("label"), {})
    return from_arrow(table, wanted), label.get("names") if isinstance(label, dict) else None


def from_arrow(table: "pa.Table", wanted: dict[str, str]) -> "pd.DataFrame":
    """Return plain Python values (arrays stay arrays) of the wanted columns, by role, and `row` (from 0)."""
    import pandas as pd
    import pyarrow as pa

    columns = {}
    for role, name in wanted.items():
        column = table.column(name)
        nested = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        values = list(column.to_pandas()) if nested else column.to_pylist()
        columns[role] = pd.Series(values, dtype=object)
    return pd.DataFrame({**columns, "row": pd.Series(range(table.num_rows), dtype=object)})


def read_bytes(path: Path, name: str) -> bytes:
    """Read a file, or say in one line why that is not possible."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatassayError(f"{name}: cannot be read ({error.strerror})") from error


def decode(content: bytes, name: str) -> str:
    """Return the text of a UTF-8 file, or say in one line where it is none."""
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DatassayError(
            f"{name}:{line}: byte 0x{content[error.start]:02X} at offset {error.start} is not UTF-8, "
            "save the file as UTF-8"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__
