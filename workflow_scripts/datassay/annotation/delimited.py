"""Answers in csv files: id, label and annotator, or the results of Amazon's Mechanical Turk."""

import re
from collections.abc import Iterator, Sequence

from datassay.annotation import mturk
from datassay.annotation.found import Answer, Fault, Found
from datassay.data.tables import records
from datassay.errors import DatassayError, did_you_mean

ID_COLUMNS = ("example_id", "id")  # Label Studio's own csv holds both: its id counts its tasks
_UNDECODED = re.compile("[\udc80-\udcff]")
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read(content: bytes) -> Found:
    """Read the answers of a csv file, UTF-8 with or without byte order mark, any line ends.

    Columns id (or example_id), label and, where there is one, annotator; others are left out. Rows without a label
    are skipped. A file with columns Input.id0, Input.id1, ... holds the results of MTurk.
    """
    if (kind := _MARKS.get(content[:2])) is not None:
        return Found.fault(f"is {kind}, save it as UTF-8 (spreadsheets: 'CSV UTF-8')")
    text = content.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")
    found = Found(faults=_undecoded(text))
    rows = _rows(text, found)
    _, header = next(rows, (0, []))
    header = [name.strip() for name in header]
    twice = sorted({name for name in header if header.count(name) > 1})
    found.faults += [Fault(":1", f"two columns are named '{name}', rename one") for name in twice]
    if not header or twice:
        return found
    read_row = mturk.row_reader(header) if mturk.is_result(header) else _row_reader(header, found)
    if read_row is None:
        return found
    for line, row in rows:
        if len(row) != len(header):
            found.faults.append(Fault(f":{line}", f"{len(row)} fields, the header has {len(header)}"))
        elif not any(map(_UNDECODED.search, row)):
            read_row(line, row, found)
    return found


def _undecoded(text: str) -> list[Fault]:
    """Return a fault for every line that holds bytes which are not UTF-8."""
    faults = []
    for number, line in enumerate(text.split("\n"), start=1):
        if byte := _UNDECODED.search(line):
            code = f"0x{ord(byte[0]) - 0xDC00:02X}"
            faults.append(Fault(f":{number}", f"byte {code} is not UTF-8, save the file as UTF-8"))
    return faults


def _rows(text: str, found: Found) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield line and fields of every row; a quote that makes the rest unreadable is a fault."""
    try:
        yield from records(text, "", ",")
    except DatassayError as error:
        place, _, reason = str(error).partition(": ")
        found.faults.append(Fault(place, reason))


def _row_reader(header: list[str], found: Found) -> "mturk.RowReader | None":
    """Return what reads a row of a plain csv, None where columns are missing."""
    lower = [name.lower() for name in header]
    places = {"id": next((lower.index(name) for name in ID_COLUMNS if name in lower), None)}
    places |= {name: lower.index(name) if name in lower else None for name in ("label", "annotator")}
    for name in ("id", "label"):
        if places[name] is None:
            hint = " (fields are separated by commas, not by ';')" if ";" in header[0] else did_you_mean(name, header)
            found.faults.append(Fault(":1", f"no column '{name}'{hint}"))
    example, label, annotator = places["id"], places["label"], places["annotator"]
    if example is None or label is None:
        return None

    def read_row(line: int, row: Sequence[str], found: Found) -> None:
        if not row[label].strip():
            return found.skip("rows without a label")
        who = row[annotator].strip() if annotator is not None else ""
        found.answers.append(Answer(f":{line}", row[example], row[label], who))
        return None

    return read_row
