"""Answers of people, read from whatever came back and checked to the last row before anything is done with them."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.annotation import delimited, label_studio
from datassay.annotation.found import Answer, Fault, Found
from datassay.annotation.rounds import annotator_of, natural
from datassay.data.checks import shown
from datassay.data.labels import NUMBER
from datassay.data.source import POOL
from datassay.errors import DatassayError, did_you_mean
from datassay.storage import without_guard

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

MOST_HINTED = 5000  # ids among which a similar one is looked for
READERS: dict[str, Callable[[bytes], Found]] = {".csv": delimited.read, ".json": label_studio.read}


@dataclass(frozen=True)
class Asked:
    """What answers may be about.

    splits: example id -> split. label_names: of the classes; empty where answers are numbers: labels of a regression,
    or ratings that are averaged and binned.
    """

    splits: dict[str, str]
    label_names: Sequence[str]

    @cached_property
    def without_zeros(self) -> dict[str, str]:
        """Id without leading zeros, which spreadsheets take off -> the id."""
        return {example.lstrip("0"): example for example in self.splits}


@dataclass(frozen=True)
class _Checked:
    """An answer without fault: value is a class number, or the number that was answered."""

    place: str
    example: str
    annotator: str
    value: float
    label: str


def read_answers(file: Path, asked: Asked, others: Iterable[Path] = ()) -> "pd.DataFrame":
    """Return the checked answers of one file: example_id, annotator, value (float64) and place, a row per answer.

    file: a csv (id, label and, where several people answered, annotator), the results of MTurk (Input.id0, Answer.*),
    or an export of Label Studio (JSON, JSON-MIN, CSV). value: class number, or the number that was answered. place:
    where in the file. An answer that is given twice alike counts once.
    others: the other files of the folder; nobody may have answered differently about the same example in one of them.

    Raises DatassayError with one line for every fault of the file: not readable, not UTF-8, empty, of unknown form,
    rows that cannot be read, ids that are unknown or not in the pool, unknown labels, conflicting answers.
    Time and memory grow with the size of all files.
    """
    import pandas as pd

    found = _read(file)
    faults = list(found.faults)
    kept: dict[tuple[str, str], _Checked] = {}
    for answer in found.answers:
        checked = _check(answer, asked, file, faults)
        if checked is not None:
            first = kept.setdefault((checked.example, checked.annotator), checked)
            if first.value != checked.value:
                faults.append(_conflict(checked, first, _here(first.place)))
    faults += _conflicts(kept, asked, [other for other in others if other != file])
    reasons = ", ".join(f"{count} {reason}" for reason, count in found.skipped.items())
    if not found.answers and not faults:
        faults.append(Fault("", f"no answers in it{f' ({reasons})' if reasons else ''}, take it away"))
    if faults:
        faults.sort(key=lambda fault: natural(fault.place))
        raise DatassayError("\n".join(f"{file}{fault.place}: {fault.text}" for fault in faults))
    logger.info("%s: %d answers%s", file, len(kept), f", left out: {reasons}" if reasons else "")
    rows = [(c.example, c.annotator, c.value, c.place) for c in kept.values()]
    return pd.DataFrame(rows, columns=["example_id", "annotator", "value", "place"])


def _read(file: Path) -> Found:
    """Read a file without a look at what its ids and labels are."""
    if file.resolve().parent != file.parent.resolve():
        return Found.fault("is a link that leads out of the folder, put the file itself here")
    if file.is_dir():
        return Found.fault("is a folder, put the files themselves beside it")
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        return Found.fault(f"is of the kind '{file.suffix}', allowed: {', '.join(READERS)}")
    try:
        content = file.read_bytes()
    except OSError as error:
        return Found.fault(f"cannot be read ({error.strerror})")
    return reader(content) if content.strip() else Found.fault("the file is empty")


def _check(answer: Answer, asked: Asked, file: Path, faults: list[Fault]) -> _Checked | None:
    """Return an answer whose example and label are known; add what is wrong with any other to the faults."""
    example, id_fault = _known_id(answer.example, asked)
    value, label_fault = _known_label(answer.label, asked.label_names)
    faults += [Fault(answer.place, fault) for fault in (id_fault, label_fault) if fault]
    if id_fault or label_fault:
        return None
    return _Checked(answer.place, example, answer.annotator or annotator_of(file.name), value, str(answer.label))


def _known_id(text: str, asked: Asked) -> tuple[str, str | None]:
    """Return the example's id and what is wrong with it."""
    plain = without_guard(text)
    example = plain if plain in asked.splits else text
    if not example.strip():
        return example, "no id"
    if example not in asked.splits:
        return example, f"id {shown(example)} is not in the data set{_similar_id(example, asked)}"
    if asked.splits[example] != POOL:
        return example, f"id {shown(example)} is not in the pool but in {asked.splits[example]}, its label is known"
    return example, None


def _similar_id(example: str, asked: Asked) -> str:
    """Return the question whether another id is meant, "" where none is similar."""
    if (padded := asked.without_zeros.get(example.strip().lstrip("0"))) is not None:
        return f", did you mean {shown(padded)}?"
    few = len(asked.splits) <= MOST_HINTED and not example.isdecimal()  # numbers are alike and say nothing
    hint = did_you_mean(example, asked.splits) if few else ""
    return hint if "did you mean" in hint else ""


def _known_label(label: Any, names: Sequence[str]) -> tuple[float, str | None]:
    """Return the value of a label and what is wrong with it."""
    text = without_guard(str(label).strip())
    if not text:
        return np.nan, "no label, give one or remove the answer"
    if not names:
        number = float(text) if NUMBER.fullmatch(text) else np.nan
        return number, None if np.isfinite(number) else f"label {shown(text)}, allowed: a finite number"
    if text in names:
        return float(list(names).index(text)), None
    in_other_case = [name for name in names if name.casefold() == text.casefold()]
    hint = f", did you mean {shown(in_other_case[0])}?" if in_other_case else did_you_mean(text, names)
    return np.nan, f"label {shown(text)} is none of the classes{hint}"


def _conflict(answer: _Checked, other: _Checked, place: str) -> Fault:
    return Fault(
        answer.place,
        f"label {shown(answer.label)} of {shown(answer.example)} by {shown(answer.annotator)}, who said "
        f"{shown(other.label)} in {place}: keep one of the two",
    )


def _here(place: str) -> str:
    """Say where in the same file."""
    text = place.lstrip(": ")
    return f"line {text}" if text.isdecimal() else text


def _conflicts(kept: dict[tuple[str, str], _Checked], asked: Asked, others: Sequence[Path]) -> list[Fault]:
    """Return the answers that contradict those which the same people gave in other files."""
    faults = []
    for file in others:
        for answer in _read(file).answers:
            other = _check(answer, asked, file, [])
            mine = kept.get((other.example, other.annotator)) if other else None
            if mine is not None and other is not None and mine.value != other.value:
                faults.append(_conflict(mine, other, f"{file.name}{other.place}"))
    return faults
