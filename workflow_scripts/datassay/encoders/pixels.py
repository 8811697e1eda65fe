"""Pixel encoder: scaled pixels, projected on the principal components of the train rows."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import Encoder
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

    from datassay.encoders import Encode

BLOCK = 2048
LARGEST_SIDE = 64


def pixel_encoder(examples: "pd.DataFrame", settings: Encoder, checkpoints: Checkpoints) -> "Encode":
    """Return rows -> float32 [n, d]: pixels in [0, 1], and with `components` their principal components.

    The basis is fitted on the train rows alone. Raises DatassayError for images too large for a covariance matrix.
    """
    from datassay.data.images import decode_images

    def pixels(rows: np.ndarray) -> np.ndarray:
        images = decode_images(examples["image"].iloc[rows], settings.image_size)
        return images.reshape(len(rows), -1).astype(np.float32) / 255

    if settings.components is None:
        return pixels
    if settings.image_size > LARGEST_SIDE:
        raise DatassayError(
            f"encoder '{settings.name}': image_size {settings.image_size} is too large for components, "
            f"at most {LARGEST_SIDE}; or components: null"
        )
    basis = checkpoints.load("basis")
    if basis is None:
        train = np.flatnonzero((examples["split"] == "train").to_numpy())
        mean, axes = principal_axes(lambda block: pixels(train[block]), len(train), settings.components)
        basis = {"mean": mean, "axes": axes}
        checkpoints.save("basis", basis)
        unit_done("basis")
    mean, axes = basis["mean"], basis["axes"]

    def encode(rows: np.ndarray) -> np.ndarray:
        blocks = (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
        return np.concatenate([(pixels(block) - mean) @ axes for block in blocks])

    return encode


def principal_axes(block_of: "Encode", rows: int, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean float32 [d] and the first principal axes float32 [d, k], k = min(components, d, rows).

    block_of: positions -> [b, d]. Eigenvectors of the covariance, accumulated in float64 block by block; the largest
    entry of each axis is positive, so that the sign is defined. Time O(rows d^2 + d^3), memory O(d^2 + BLOCK d).
    Raises DatassayError where there are no rows.
    """
    from scipy.linalg import eigh

    if rows == 0:
        raise DatassayError("encoder of kind pixels: no train rows to fit the principal components on")
    total, gram = np.zeros(1), np.zeros((1, 1))
    for start in range(0, rows, BLOCK):
        block = block_of(np.arange(start, min(start + BLOCK, rows))).astype(np.float64)
        total = total + block.sum(axis=0)
        gram = gram + block.T @ block
    mean = total / rows
    covariance = gram / rows - np.outer(mean, mean)
    width = len(mean)
    kept = min(components, width, rows)
    axes = eigh(covariance, subset_by_index=(width - kept, width - 1))[1][:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(kept)])
    return np.asarray(mean, np.float32), np.ascontiguousarray(axes, np.float32)
