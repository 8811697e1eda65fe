"""Vectors that a user brings: read from a file, matched to the examples."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datassay.config import Encoder
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

    from datassay.encoders import Encode

NEEDED = {
    ".npy": "one array",
    ".npz": "the arrays vectors and example_id",
    ".parquet": "the columns example_id and vector, lists of numbers, all of one length",
}


def vector_encoder(examples: "pd.DataFrame", settings: Encoder) -> "Encode":
    """Return rows -> float32 [n, d], read from `settings.path`.

    .npy: one row per example, in the order of examples.parquet, and nothing that could tell another order.
    .npz: arrays `vectors` [M, d] and `example_id` [M] text; .parquet: columns `example_id` and `vector` (a list of
    numbers). These two may be in any order and hold more rows than there are examples.
    Raises DatassayError naming the file for a missing or repeated id, another number of rows, and what is no matrix.
    """
    path = Path(str(settings.path))
    vectors, ids = _read(path)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise DatassayError(f"{path}: {vectors.dtype} of shape {vectors.shape}, expected a numeric matrix")
    if ids is None:
        if len(vectors) != len(examples):
            raise DatassayError(
                f"{path}: {len(vectors)} rows for {len(examples)} examples; give one for each, in their order, or an "
                ".npz or .parquet with example_id"
            )
        return lambda rows: np.asarray(vectors[rows], dtype=np.float32)
    if len(ids) != len(vectors):
        raise DatassayError(f"{path}: {len(vectors)} vectors for {len(ids)} example_id, needs as many of each")
    places = _places(path, ids, examples["example_id"].astype(str).to_numpy(object))
    return lambda rows: np.asarray(vectors[places[rows]], dtype=np.float32)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the vectors and, where the file has them, the ids of their rows."""
    if path.suffix not in NEEDED:
        raise DatassayError(f"{path}: vectors are read from .npy, .npz or .parquet")
    try:
        return _contents(path)
    except Exception as error:  # zipfile, numpy and pyarrow each raise their own on a file that is no such file
        reason = str(error).split("\n", 1)[0]
        raise DatassayError(f"{path}: cannot be read ({reason}), needs {NEEDED[path.suffix]}") from error


def _contents(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False), None
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return file["vectors"], file["example_id"].astype(str).astype(object)
    import pandas as pd

    table = pd.read_parquet(path, columns=["example_id", "vector"])
    vectors = np.stack(table["vector"].to_list()) if len(table) else np.zeros((0, 0))
    return vectors, table["example_id"].astype(str).to_numpy(object)


def _places(path: Path, ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the row of the file for every example, int64 [N]."""
    import pandas as pd

    index = pd.Index(ids)
    if not index.is_unique:
        raise DatassayError(f"{path}: example_id '{index[index.duplicated()][0]}' is there twice, ids must be unique")
    places = index.get_indexer(pd.Index(wanted))
    if (places < 0).any():
        missing = wanted[places < 0]
        raise DatassayError(f"{path}: no vector for {len(missing)} of {len(wanted)} examples, first '{missing[0]}'")
    return places
