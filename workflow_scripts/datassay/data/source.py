"""What every kind of source gives: a table of named roles in which each row knows the place it came from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from datassay.config import Columns
from datassay.errors import DatassayError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Unit = Literal["line", "row", "file"]
ROLES = ("text", "text_b", "options", "image", "label", "true_label", "id", "split", "group")
POOL = "pool"
SPLITS = ("train", "validation", "valuation", "test", POOL)
PROBE, UNSEEN = "probe", "unseen"  # planted, never named by a source: learnt with the train rows, and never learnt
TRAINED = ("train", PROBE)


@dataclass(frozen=True)
class Source:
    """Rows as they came, before anything is checked.

    table: object columns named by role (ROLES, those there are), `file` (as the user wrote it) and `row`; a value that
    is missing is None. part: what the id of a row begins with where the source has no ids.
    unit: what `row` counts: lines of a text file from 1, rows from 0, or nothing where a file is one row.
    names: role -> name of the column in the source.
    label_names: names of the labels 0, 1, ... where the source brings them.
    """

    table: "pd.DataFrame"
    unit: Unit
    names: dict[str, str]
    label_names: list[str] | None = None
    notes: list[str] = field(default_factory=list)

    def place(self, position: int, role: str | None = None) -> str:
        """Say where the row at a position of the table came from, and in which column."""
        file, row = self.table["file"].iloc[position], self.table["row"].iloc[position]
        place = {"line": f"{file}:{row}", "row": f"{file}: row {row} (first is 0)", "file": str(file)}[self.unit]
        return f"{place}: column '{self.names.get(role, role)}'" if role and self.unit != "file" else place


def wanted_columns(columns: Columns) -> dict[str, str]:
    """Return role -> column for what the config names; options in columns of their own are option0, option1, ..."""
    named = {role: name for role in ROLES if (name := getattr(columns, role, None)) is not None}
    options = named.pop("options", None)
    apart = {"options": options} if isinstance(options, str) else {}
    return named | apart | {f"option{number}": name for number, name in enumerate(options or []) if not apart}


def with_options(source: Source) -> Source:
    """Return the source with its option columns, where it has such, as one column of lists."""
    apart = [role for role in source.names if role.startswith("option") and role != "options"]
    if not apart:
        return source
    import pandas as pd

    options = pd.Series(source.table[apart].to_numpy(object).tolist(), index=source.table.index, dtype=object)
    return replace(source, table=source.table.drop(columns=apart).assign(options=options))


def require_columns(file: str, wanted: dict[str, str], found: Sequence[str]) -> None:
    """Raise the error that names the first column that is not there."""
    if not found:
        raise DatassayError(f"{file}: the file is empty")
    for role, name in wanted.items():
        if name not in found:
            hint = did_you_mean(name, found)
            if len(found) == 1 and ";" in found[0]:
                hint += " (fields are separated by commas in a csv and by tabs in a tsv, never by ';')"
            key = "options" if role.startswith("option") else role
            raise DatassayError(f"{file}: no column '{name}' (columns.{key}){hint}")
