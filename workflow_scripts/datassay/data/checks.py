"""Refuse rows that nothing downstream could be right about; every message names file, row and column."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datassay.data.images import ImageInfo, inspect_image, to_encoded
from datassay.data.source import Source
from datassay.errors import DatassayError

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
LARGEST_EXACT_FLOAT = 2**53
MOST_FAULTS = 10


def checked_ids(source: Source) -> list[str]:
    """Return every id as text; whole numbers lose their ".0", rows without an id column get {part}-{row}.

    Raises DatassayError for missing ids, ids that are not text or whole numbers, control characters, and ids that are
    equal as text, naming both rows: all of them, a line each.
    """
    table = source.table
    if "id" not in table:
        return [f"{part}-{row}" for part, row in zip(table["part"], table["row"], strict=True)]
    first: dict[str, int] = {}
    faults = []
    for position, value in enumerate(table["id"]):
        try:
            text = _id_text(value)
        except DatassayError as error:
            faults.append(f"{source.place(position, 'id')}: {error}")
            continue
        if first.setdefault(text, position) != position:
            faults.append(
                f"{source.place(position, 'id')}: id {shown(text)} is also that of {source.place(first[text])}, "
                "ids have to be unique"
            )
    _refuse(faults)
    return list(first)


def _refuse(faults: Sequence[str]) -> None:
    """Raise one error for all faults, where there are any; of many the first ones and how many there are."""
    if faults:
        rest = len(faults) - MOST_FAULTS
        raise DatassayError("\n".join([*faults[:MOST_FAULTS], *([f"and {rest} more"] if rest > 0 else [])]))


def _id_text(value: Any) -> str:
    value = value.item() if hasattr(value, "item") else value
    if is_missing(value) or value == "":
        raise DatassayError("no id")
    if isinstance(value, float) and value.is_integer():
        if abs(value) > LARGEST_EXACT_FLOAT:
            raise DatassayError(f"id {value!r} is too large to be exact as a float, store ids as text")
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DatassayError(f"id {shown(value)}, allowed: text or a whole number")
    text = str(value)
    if _CONTROL.search(text) or _SURROGATE.search(text):
        raise DatassayError(f"id {shown(text)} holds a control character or half a surrogate pair")
    return text


def check_texts(source: Source, role: str) -> None:
    """Raise DatassayError for texts that are missing, blank, no text, or hold NUL or half a surrogate pair."""
    blank = [position for position, value in enumerate(source.table[role]) if _is_blank(value)]
    if blank:
        raise DatassayError(
            f"{source.place(blank[0], role)}: no text ({len(blank)} such row{'s' * (len(blank) > 1)}), give one or "
            "remove the row"
        )
    faults: tuple[tuple[Callable[[Any], Any], str], ...] = (
        (lambda value: not isinstance(value, str), "is no text"),
        (lambda value: "\0" in value, "holds a NUL character"),
        (_SURROGATE.search, "holds half a surrogate pair, which is not Unicode text"),
    )
    for position, value in enumerate(source.table[role]):
        for is_fault, name in faults:
            if is_fault(value):
                raise DatassayError(f"{source.place(position, role)}: {shown(value)} {name}")


def checked_options(source: Source) -> list[list[str]]:
    """Return the options of every row as a list of texts.

    Raises DatassayError for options that are missing, no list, fewer than 2, blank or no text, and for a row that has
    another number of them than the first.
    """
    rows: list[list[str]] = []
    for position, value in enumerate(source.table["options"]):
        place = source.place(position, "options")
        if is_missing(value):
            raise DatassayError(f"{place}: no options")
        if isinstance(value, str) or not hasattr(value, "__len__") or isinstance(value, dict):
            raise DatassayError(
                f"{place}: {shown(value)} is no list of options; where each has a column of its own, name them all: "
                "columns.options: [option1, option2]"
            )
        options = list(value)
        if len(options) < 2:
            raise DatassayError(f"{place}: {len(options)} option{'s' * (len(options) != 1)}, at least 2 are needed")
        if rows and len(options) != len(rows[0]):
            raise DatassayError(
                f"{place}: {len(options)} options, the first row has {len(rows[0])}; every row needs as many"
            )
        for number, option in enumerate(options, start=1):
            if fault := _option_fault(option):
                raise DatassayError(f"{place}: option {number} {fault}")
        rows.append(options)
    return rows


def _option_fault(option: Any) -> str | None:
    if _is_blank(option):
        return "has no text"
    if not isinstance(option, str):
        return f"is {shown(option)}, allowed: text"
    return "holds a NUL character or half a surrogate pair" if "\0" in option or _SURROGATE.search(option) else None


def _is_blank(value: Any) -> bool:
    return not value.strip() if isinstance(value, str) else is_missing(value)


def checked_images(source: Source) -> tuple[list[dict[str, Any]], list[ImageInfo]]:
    """Return every image as {"bytes", "path"}, each read to its end once, and what its header says.

    Raises DatassayError for images that are absent, damaged, too large to be safe, or outside the data's folder: all of
    them, a line each.
    """
    images: list[dict[str, Any]] = []
    infos: list[ImageInfo] = []
    faults: list[str] = []
    for position, (value, folder) in enumerate(zip(source.table["image"], source.table["folder"], strict=True)):
        named = ""
        try:
            image = to_encoded(value, Path(folder) if folder else None)
            named = f" '{image['path']}'" if image["path"] and source.unit != "file" else ""
            infos.append(inspect_image(image["bytes"]))
            images.append(image)
        except DatassayError as error:
            faults.append(f"{source.place(position, 'image')}{named}: {error}")
    _refuse(faults)
    return images, infos


def is_missing(value: Any) -> bool:
    """Say whether a value is None, NaN or a missing value of pandas."""
    if value is None or (isinstance(value, float) and value != value):
        return True
    return type(value).__name__ in ("NAType", "NaTType")


def shown(value: Any) -> str:
    """Return a value as one short printable line."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
