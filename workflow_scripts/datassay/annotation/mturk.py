"""Amazon's Mechanical Turk: ten examples per HIT, its page, and its results."""

import html
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from datassay.annotation.found import Answer, Fault, Found

if TYPE_CHECKING:
    import pandas as pd

PER_HIT = 10
RowReader = Callable[[int, Sequence[str], Found], None]
_ITEM = re.compile(r"(.*?)(\d+)")
_REJECTED = "of rejected assignments"


def is_result(header: Iterable[str]) -> bool:
    """Say whether a csv is a file of results."""
    return any(re.fullmatch(r"Input\.id\d+", name) for name in header)


def row_reader(header: Sequence[str]) -> RowReader:
    """Return what reads one assignment: an answer for every example of the HIT.

    The answer for Input.id3 is Answer.label3 (or any Answer.name3); or Answer.label3.spam, where that is true; or what
    Answer.taskAnswers, which the newer forms send, says of label3. WorkerId is the annotator. Rejected assignments and
    examples without an answer are left out and counted.
    """
    places = {name: place for place, name in enumerate(header)}
    items = sorted(int(name.removeprefix("Input.id")) for name in places if re.fullmatch(r"Input\.id\d+", name))

    def read_row(line: int, row: Sequence[str], found: Found) -> None:
        if "AssignmentStatus" in places and row[places["AssignmentStatus"]].strip().lower() == "rejected":
            return found.skip(_REJECTED)
        try:
            given = _answers({name: row[place] for name, place in places.items()})
        except ValueError as error:
            found.faults.append(Fault(f":{line}", f"Answer.taskAnswers: not valid JSON ({error})"))
            return None
        who = row[places["WorkerId"]].strip() if "WorkerId" in places else ""
        for item in items:
            example, labels = row[places[f"Input.id{item}"]], given.get(item, [])
            if len(labels) > 1:
                found.faults.append(Fault(f":{line}", f"item {item}: {len(labels)} labels, one is allowed"))
            elif example and labels:
                found.answers.append(Answer(f":{line}", example, labels[0], who))
            elif example:
                found.skip("examples without an answer")
        return None

    return read_row


def _answers(row: dict[str, str]) -> dict[int, list[str]]:
    """Return number of the item -> labels chosen for it; other fields do not count where some are called label0, ..."""
    given: dict[str, Any] = {}
    for column, value in row.items():
        name = column.removeprefix("Answer.")
        if name == column or not value.strip():
            continue
        if name == "taskAnswers":
            for part in json.loads(value):
                given |= part
        elif "." in name:
            field, _, option = name.partition(".")
            given.setdefault(field, {})[option] = value.strip().lower() == "true"
        else:
            given[name] = value
    named = [(found[1], int(found[2]), answer) for key, answer in given.items() if (found := _ITEM.fullmatch(key))]
    labels = [part for part in named if part[0] == "label"] or named
    chosen: dict[int, list[str]] = {}
    for _, item, answer in labels:
        chosen.setdefault(item, []).extend(_options(answer))
    return chosen


def _options(answer: Any) -> list[str]:
    """Return the labels of an answer: a text, {"label": text}, or {text: whether it was chosen}."""
    if not isinstance(answer, dict):
        return [str(answer)]
    if all(isinstance(value, bool) for value in answer.values()):
        return [option for option, chosen in answer.items() if chosen]
    return [str(value) for value in answer.values()]


def hits(batch: "pd.DataFrame", contents: Sequence[str]) -> "pd.DataFrame":
    """Return one row per HIT: id0, {content}0, ... id9, ...; the last HIT may hold fewer, its other cells are empty.

    batch: example_id and the columns `contents` (text, text_b, image). Texts are escaped for the page they are put in;
    characters that MTurk refuses (beyond the basic plane) become references.
    """
    import pandas as pd

    rows = []
    for start in range(0, len(batch), PER_HIT):
        part = batch.iloc[start : start + PER_HIT]
        row: dict[str, str] = {}
        for item in range(PER_HIT):
            filled = item < len(part)
            row[f"id{item}"] = part["example_id"].iloc[item] if filled else ""
            row |= {f"{name}{item}": _escaped(part[name].iloc[item]) if filled else "" for name in contents}
        rows.append(row)
    return pd.DataFrame(rows)


def _escaped(text: str) -> str:
    lines = html.escape(text, quote=True).splitlines() or [""]
    return "".join(c if ord(c) < 0x10000 else f"&#{ord(c)};" for c in "<br>".join(lines))


def page(contents: Sequence[str], label_names: Sequence[str], question: str) -> str:
    """Return the page of a HIT, to be pasted into MTurk's editor: every example with one field for its label.

    label_names: of the classes; empty: a number is asked for.
    """
    parts = [
        '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>',
        "<crowd-form>",
        f"  <p>{html.escape(question)}</p>",
    ]
    for item in range(PER_HIT):
        shown = "".join(
            f'<img src="${{image{item}}}" alt="">' if name == "image" else f"<p>${{{name}{item}}}</p>"
            for name in contents
        )
        options = "".join(
            f'<label><input type="radio" name="label{item}" value="{html.escape(name, quote=True)}" required> '
            f"{html.escape(name)}</label> "
            for name in label_names
        )
        field = options or f'<input type="number" step="any" name="label{item}" required>'
        parts.append(f'  <fieldset data-id="${{id{item}}}">{shown}<p>{field}</p></fieldset>')
    unused = "document.querySelectorAll('fieldset[data-id=\"\"]').forEach(field => field.remove())"
    return "\n".join([*parts, f"  <script>{unused}</script>", "</crowd-form>"]) + "\n"
