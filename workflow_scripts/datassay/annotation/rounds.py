"""Which files hold answers, and to which round each belongs: its name says it."""

import logging
import re
from pathlib import Path

from datassay.errors import counted

logger = logging.getLogger(__name__)

FOLDER = "resources/annotations/{dataset}"
UNNAMED = "annotator"
_ROUND = re.compile(r"round[ _-]?([0-9]+)[ _-]?", re.IGNORECASE)


def answer_folder(dataset: str) -> Path:
    """Return the folder into which people drop what came back."""
    return Path(FOLDER.format(dataset=dataset))


def rounds_of(folder: Path) -> dict[str, int]:
    """Return name -> round of every file in a folder, sorted; {} where there is no folder. Hidden files do not count.

    A file belongs to the round its name begins with (`round_2_anna.csv`). Those whose name says none are rounds of
    their own: 1, 2, ... in the order of their names, numbers in them by size.
    """
    if not folder.is_dir():
        return {}
    names = sorted((p.name for p in folder.iterdir() if not p.name.startswith((".", "~"))), key=natural)
    named = {name: int(found[1]) for name in names if (found := _ROUND.match(name))}
    others = [name for name in names if name not in named]
    return dict(sorted((named | {name: number for number, name in enumerate(others, start=1)}).items()))


def next_round(folder: Path) -> int:
    """Return the number of the round that is to be labelled next: 1 where nothing came back yet."""
    return 1 + max(rounds_of(folder).values(), default=0)


def tell_next_step(rows: int, batch: str, dataset: str, number: int) -> None:
    """Log what people do with the batch of a round: how many rows it has, and which file takes the answers."""
    if rows:
        answers = answer_folder(dataset) / f"round_{number}.csv"
        logger.info("%s to label: %s; put the answers into %s", counted(rows, "row"), batch, answers)
    else:
        logger.info("nothing to label: every row of the pool has a label or is left out by a filter")


def annotator_of(name: str) -> str:
    """Return who gave the answers of a file that does not say: what its name holds beside the round."""
    stem = Path(name).stem
    found = _ROUND.match(stem)
    return (stem[found.end() :] if found else stem) or UNNAMED


def natural(name: str) -> list[tuple[int, str]]:
    """Return what texts are sorted by so that numbers in them go by size."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]
