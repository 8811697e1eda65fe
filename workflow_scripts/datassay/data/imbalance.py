"""A rare class made of a common one: rest classes, fewer rows of the minority, a smaller test majority."""

import math
from typing import TYPE_CHECKING

import numpy as np

from datassay.config import Imbalance
from datassay.data.labels import UNKNOWN
from datassay.errors import DatassayError, did_you_mean
from datassay.randomness import generator

if TYPE_CHECKING:
    import pandas as pd


def minority_and_rest(
    table: "pd.DataFrame", names: list[str], settings: Imbalance
) -> tuple["pd.DataFrame", list[str], list[str]]:
    """Number the classes anew: the rest, which takes all classes but the minority, is 0, the minority follows.

    table: label and, where it is known, true_label, class numbers or -1. Returns table, names and notes, unchanged
    where `rest` is null. Raises DatassayError for a minority class that does not exist, and where nothing is left over.
    """
    for name in settings.minority:
        if name not in names:
            raise DatassayError(f"imbalance.minority: no class '{name}'{did_you_mean(name, names)}")
    if settings.rest is None:
        return table, names, []
    if settings.rest in settings.minority:
        raise DatassayError(f"imbalance.rest: '{settings.rest}' is a minority class, choose another name")
    others = [name for name in names if name not in settings.minority]
    if not others:
        raise DatassayError("imbalance.minority: names every class, at least one must be left for the rest")
    numbers = np.zeros(len(names) + 1, dtype=np.int64)
    numbers[UNKNOWN] = UNKNOWN
    for number, name in enumerate(settings.minority, start=1):
        numbers[names.index(name)] = number
    changed = {role: numbers[table[role]] for role in ("label", "true_label") if role in table}
    notes = [f"Class '{settings.rest}' takes {len(others)} classes: {', '.join(others)}."]
    return table.assign(**changed), [settings.rest, *settings.minority], notes


def imbalanced(
    splits: np.ndarray, labels: np.ndarray, names: list[str], settings: Imbalance
) -> tuple[np.ndarray, list[str]]:
    """Return the rows to keep, sorted, and notes.

    splits: [N] names, labels: [N] class numbers. `share` p: every minority class keeps at most ceil(p n / (1 - p)) of
    its train rows, drawn at random, n the train rows of no minority class; so one minority class makes up the share p
    of the train split. `test_majority`: as many test rows of no minority class are kept, drawn at random.
    Raises DatassayError where a minority class has fewer train rows than its share asks for.
    """
    minority = [names.index(name) for name in settings.minority]
    common = ~np.isin(labels, minority) & (labels != UNKNOWN)
    keep, notes = np.ones(len(labels), bool), []

    def cut(rows: np.ndarray, size: int, what: str) -> None:
        rng = generator(settings.seed, "imbalance", what)
        keep[rows] = False
        keep[rng.permutation(rows)[:size]] = True
        notes.append(f"{size} of {len(rows)} {what} kept.")

    if settings.share is not None:
        rest = int((common & (splits == "train")).sum())
        size = math.ceil(round(settings.share * rest / (1 - settings.share), 6))
        for c in minority:
            rows = np.flatnonzero((labels == c) & (splits == "train"))
            if len(rows) < size:
                raise DatassayError(
                    f"imbalance.share: {settings.share:g} beside {rest} other train rows are {size} rows of "
                    f"'{names[c]}', it has {len(rows)}: lower the share"
                )
            cut(rows, size, f"train rows of class '{names[c]}'")
    if settings.test_majority is not None:
        rows = np.flatnonzero(common & (splits == "test"))
        if len(rows) > settings.test_majority:
            cut(rows, settings.test_majority, "test rows of the majority")
    return np.flatnonzero(keep), notes
