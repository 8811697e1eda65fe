"""Encoders: every example once through a pretrained model (or PCA), for neighbours, values, densities and head models.

An encoder is a function from row numbers to vectors. `embed` runs it shard by shard; a finished shard is a checkpoint
record, so that a killed job goes on with the shard it was at.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import Encoder
from datassay.errors import DatassayError
from datassay.shards import ALL, Part
from datassay.storage import created_array

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["embed", "encode_shards", "read_shards"]
logger = logging.getLogger(__name__)

Encode = Callable[[np.ndarray], np.ndarray]


def embed(
    examples: "pd.DataFrame",
    settings: Encoder,
    checkpoints: Checkpoints,
    path: str | os.PathLike[str],
    part: Part = ALL,
) -> tuple[int, int]:
    """Write the vectors of all examples, in row order, as float32 [N, d] to `path`; return (N, d).

    part: only those of this job's portion of the shards; all portions together are the same bytes.

    They are of unit length unless `unit_length` is off. examples: columns text (and text_b), or image; split where the
    encoder is fitted (pixels: on the train rows); example_id where vectors are read from a file.
    A row that encodes to the zero vector stays zero. Raises DatassayError where the modality does not fit, the model
    cannot be loaded or a vector is not finite.

    Same bytes however often the job was killed and however many jobs run beside it: a batch holds rows of one shard in
    order of length, which depends on `shard_rows` and `batch_size` alone. For another number of threads, another
    machine or bf16 against float32 the sums inside a matrix product run in another order: vectors then agree to about
    1e-6 (float32) or 1e-2 (bf16), not to the bit. Time O(N), memory O(shard_rows * d) beside the model.
    """
    rows = len(examples)
    if rows == 0:
        raise DatassayError(f"encoder '{settings.name}': no examples to embed")

    def make() -> Encode:
        encode = _encoder(examples, settings, checkpoints)
        return lambda shard: _checked_rows(encode(shard), settings, shard)

    width = encode_shards(make, rows, settings.shard_rows, checkpoints, part=part)
    own = [shard for _, shard in _shards(rows, settings.shard_rows, part)]
    first, last = (int(own[0][0]), int(own[-1][-1]) + 1) if own else (0, 0)
    with created_array(path, (last - first, width), np.float32) as out:
        for shard, vectors in read_shards(rows, settings.shard_rows, checkpoints, part=part):
            out[shard - first] = vectors
    return last - first, width


def encode_shards(
    make: Callable[[], Encode],
    rows: int,
    shard_rows: int,
    checkpoints: Checkpoints,
    name: str = "shard",
    part: Part = ALL,
) -> int:
    """Encode rows 0 to rows - 1 shard by shard into checkpoint records and return the width; what is there is kept.

    make: returns what encodes row numbers; called only where a shard is missing. name: of the records.
    part: only this job's portion of the shards.
    """
    encode: Encode | None = None
    width = 0
    for number, shard in _shards(rows, shard_rows, part):
        record = checkpoints.load(_shard_name(name, number))
        if record is None:
            started = time.monotonic()
            encode = encode or make()
            vectors = encode(shard)
            checkpoints.save(_shard_name(name, number), {"vectors": vectors})
            speed = len(shard) / max(time.monotonic() - started, 1e-9)
            logger.info("embedded %d of %d examples (%.0f per second)", shard[-1] + 1, rows, speed)
            unit_done("shard")
            width = vectors.shape[1]
        else:
            width = record["vectors"].shape[1]
    return width


def read_shards(
    rows: int, shard_rows: int, checkpoints: Checkpoints, name: str = "shard", part: Part = ALL
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the row numbers of every shard and the vectors that `encode_shards` has saved."""
    for number, shard in _shards(rows, shard_rows, part):
        record = checkpoints.load(_shard_name(name, number))
        if record is None:
            where = checkpoints.folder / _shard_name(name, number)
            raise DatassayError(f"{where}: damaged while it was in use, run again")
        yield shard, record["vectors"]


def _shards(rows: int, shard_rows: int, part: Part) -> list[tuple[int, np.ndarray]]:
    """Return number and rows of every shard of this job."""
    starts = range(0, rows, shard_rows)[part.slice(-(-rows // shard_rows))]
    return [(start // shard_rows, np.arange(start, min(start + shard_rows, rows))) for start in starts]


def _shard_name(name: str, number: int) -> str:
    return f"{name}{number:06d}"


def _encoder(examples: "pd.DataFrame", settings: Encoder, checkpoints: Checkpoints) -> Encode:
    if settings.kind == "vectors":
        from datassay.encoders.vectors import vector_encoder

        return vector_encoder(examples, settings)
    column = "text" if settings.modality == "text" else "image"
    if column not in examples.columns:
        raise DatassayError(f"encoder '{settings.name}': kind {settings.kind} needs a column '{column}', there is none")
    if settings.kind == "sentence_transformer":
        from datassay.encoders._text import text_encoder

        return text_encoder(examples, settings)
    if settings.kind == "vision":
        from datassay.encoders._vision import vision_encoder

        return vision_encoder(examples, settings)
    from datassay.encoders.pixels import pixel_encoder

    return pixel_encoder(examples, settings, checkpoints)


def _checked_rows(vectors: np.ndarray, settings: Encoder, rows: np.ndarray) -> np.ndarray:
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = int(rows[np.flatnonzero(~finite)[0]])
        remedy = f"correct {settings.path}" if settings.path else "try precision: float32 or another model"
        raise DatassayError(f"encoder '{settings.name}': the vector of row {row} is not finite, {remedy}")
    if not settings.unit_length:
        return vectors.astype(np.float32)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1.0)).astype(np.float32)
