"""What a reader finds in a file: answers as they stand there, and the faults of its form."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """One answer as written. place: what follows the file's name to say where (":12"). annotator: "" if not said."""

    place: str
    example: str
    label: Any
    annotator: str


class Fault(NamedTuple):
    """What is wrong, and where: as in `Answer`, "" for the file as a whole."""

    place: str
    text: str


@dataclass
class Found:
    """The answers of a file, its faults, and how many were left out on purpose, by reason."""

    answers: list[Answer] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    @classmethod
    def fault(cls, text: str) -> "Found":
        """Return what is found in a file that cannot be read at all."""
        return cls(faults=[Fault("", text)])

    def skip(self, reason: str) -> None:
        """Count an answer that is left out on purpose."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
