"""Errors that a user can mend: always one line that says where, what was found and what is allowed."""

import difflib
from collections.abc import Iterable
from typing import Any


class DatassayError(Exception):
    """A fault in the config, the data or an artefact. Its text is one line and names the fix."""


class NotApplicable(DatassayError):
    """A column cannot be computed from what was recorded. Its text is the reason shown to the user."""


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the closest allowed name, else ", allowed: a, b, c"."""
    names = sorted(map(str, allowed))
    close = difflib.get_close_matches(str(found), names, n=1, cutoff=0.6)
    return f", did you mean '{close[0]}'?" if close else f", allowed: {', '.join(names) or 'nothing'}"


def shortened(value: Any) -> str:
    """Return a value as Python writes it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return "1 row" or "3 rows"; several: where that is not `one` with an s."""
    return f"{count} {one if count == 1 else several or one + 's'}"
