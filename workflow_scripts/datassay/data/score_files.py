"""Published scores of how typical an example is, matched to the train rows they are about."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datassay.config import ScoreFile
from datassay.data.checks import checked_ids
from datassay.data.source import Source
from datassay.data.tables import read_delimited, read_parquet
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

SCORES = {"scores": "labels", "tr_mem": "tr_labels"}  # name of the scores -> of the labels beside them
FILENAMES = ("filenames", "tr_filenames")


def read_scores(settings: ScoreFile, train: "pd.DataFrame", root: Path = Path(".")) -> np.ndarray:
    """Return how typical every train row is, float64 [n], high = typical; 1 less a memorisation score.

    train: example_id, label and, where known, true_label; source_row (number of the row among those that the source
    brought for training); image, whose paths files of ImageNet are matched by. The labels of an .npz have to be those
    of the rows, under whatever numbers.

    npz: C-scores (Jiang et al., ICML 2021: `scores`, `labels`, ImageNet `filenames` too) or memorisation scores
    (Feldman & Zhang, NeurIPS 2020: `tr_mem`, `tr_labels`). csv, parquet: matched by id.
    Raises DatassayError for a file that cannot be read, a row without a score, scores that are no finite numbers and
    labels that belong to other rows.
    """
    kind = Path(settings.path).suffix.removeprefix(".").lower()
    if kind == "npz":
        scores, memorised = _from_npz(settings.path, train, root)
    elif kind in ("csv", "parquet"):
        scores, memorised = _from_table(settings, kind, train, root), settings.says == "memorisation"
    else:
        raise DatassayError(f"{settings.path}: probes.scores takes .npz, .csv or .parquet, found '.{kind}'")
    if not np.isfinite(scores).all():
        row = int(np.argmax(~np.isfinite(scores)))
        where = f"the score of '{train['example_id'].iloc[row]}' is {scores[row]}"
        raise DatassayError(f"{settings.path}: {where}, only finite numbers are allowed")
    return 1.0 - scores if memorised else scores


def _from_table(settings: ScoreFile, kind: str, train: "pd.DataFrame", root: Path) -> np.ndarray:
    name, wanted = settings.path, {"id": settings.id, "score": settings.score}
    path = root / name
    table = read_parquet(path, name, wanted)[0] if kind == "parquet" else read_delimited(path, name, wanted, kind)
    source = Source(table.assign(file=name), "row" if kind == "parquet" else "line", wanted)
    known = dict(zip(checked_ids(source), table["score"], strict=True))
    missing = [example for example in train["example_id"] if example not in known]
    if missing:
        raise DatassayError(f"{name}: no score for '{missing[0]}' ({len(missing)} train rows have none), give each one")
    try:
        return np.array([known[example] for example in train["example_id"]], dtype=np.float64)
    except (TypeError, ValueError):
        raise DatassayError(f"{name}: column '{settings.score}' holds something that is no number") from None


def _from_npz(name: str, train: "pd.DataFrame", root: Path) -> tuple[np.ndarray, bool]:
    """Return the scores of the train rows, and whether high ones mean memorised."""
    try:
        with np.load(root / name, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files if key in (*SCORES, *SCORES.values(), *FILENAMES)}
    except (OSError, ValueError, EOFError) as error:
        raise DatassayError(f"{name}: not a readable .npz file ({error})") from error
    kind = next((key for key in SCORES if key in arrays), None)
    if kind is None:
        raise DatassayError(f"{name}: none of its arrays is called {' or '.join(SCORES)}")
    files = next((arrays[key] for key in FILENAMES if key in arrays), None)
    places = _by_file(name, train, files) if files is not None else _by_row(name, train, len(arrays[kind]))
    if SCORES[kind] in arrays:
        _check_labels(name, arrays[SCORES[kind]][places], train)
    return arrays[kind][places].astype(np.float64), kind == "tr_mem"


def _by_row(name: str, train: "pd.DataFrame", length: int) -> np.ndarray:
    places = train["source_row"].to_numpy()
    if places.max(initial=0) >= length:
        raise DatassayError(
            f"{name}: {length} scores, but '{train['example_id'].iloc[int(places.argmax())]}' is row {places.max()} of "
            "the train rows of the source (first is 0)"
        )
    return places


def _by_file(name: str, train: "pd.DataFrame", files: np.ndarray) -> np.ndarray:
    decoded = [file.decode() if isinstance(file, bytes) else str(file) for file in files]
    known = {Path(file).name: place for place, file in enumerate(decoded)}
    own = [
        Path(image["path"] or example).name for image, example in zip(train["image"], train["example_id"], strict=True)
    ]
    missing = [file for file in own if file not in known]
    if missing:
        raise DatassayError(f"{name}: no score for the image '{missing[0]}' ({len(missing)} train rows have none)")
    return np.array([known[file] for file in own])


def _check_labels(name: str, found: np.ndarray, train: "pd.DataFrame") -> None:
    """Refuse labels that are not those of the rows, up to the numbers they go by."""
    own = train["true_label" if "true_label" in train else "label"].to_numpy()
    pairs, counts = np.unique(np.stack([own, found]), axis=1, return_counts=True)
    usual = {
        int(label): int(pairs[1, pairs[0] == label][counts[pairs[0] == label].argmax()]) for label in set(pairs[0])
    }
    wrong = np.array([usual[int(label)] for label in own]) != found
    if wrong.any() or len(set(usual.values())) < len(usual):
        row = int(wrong.argmax())
        raise DatassayError(
            f"{name}: its labels are not those of the train rows ({int(wrong.sum())} of {len(own)} differ, the first "
            f"is that of '{train['example_id'].iloc[row]}'): the file is about another order, or another data set"
        )
