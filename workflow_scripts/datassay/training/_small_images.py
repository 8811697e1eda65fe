"""Recipes cnn and resnet: networks that learn small images from nothing. All pixels stay in memory, on the GPU."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from datassay.config import Cnn, ResNet
from datassay.errors import DatassayError
from datassay.training._networks import CnnNetwork, ResNetNetwork
from datassay.training._objective import Objective
from datassay.training._recipes import Build, Inputs, Task

if TYPE_CHECKING:
    import pandas as pd


def small_images(examples: "pd.DataFrame", objective: Objective, settings: Cnn | ResNet) -> Build:
    """Decode every image once; return what builds a fresh network.

    Memory 3 N image_size^2 bytes, on the device too: batches are cut out and augmented there.
    """
    from datassay.data.images import decode_images

    if "image" not in examples.columns:
        raise DatassayError(
            f"model '{settings.name}': the {settings.recipe} recipe needs a column 'image', there is none"
        )
    images = decode_images(examples["image"], settings.image_size)
    mean, std = pixel_statistics(images[(examples["split"] == "train").to_numpy() & objective.labelled])
    shape = _shape(settings) | {"mean": mean, "std": std, "dropout": settings.dropout}
    network = CnnNetwork if isinstance(settings, Cnn) else ResNetNetwork

    def build(device: torch.device) -> Task:
        model: Any = network(**shape, classes=objective.outputs)
        model = model.to(device, memory_format=torch.channels_last)
        pixels = torch.from_numpy(images).to(device)

        def inputs(rows: np.ndarray, rng: np.random.Generator | None) -> Inputs:
            batch = pixels[torch.from_numpy(rows).to(device)]
            return {
                "images": augmented(batch, rng, settings.padding) if rng is not None and settings.augment else batch
            }

        def portable() -> list[Any]:
            from datassay.training import _models as models

            if isinstance(settings, Cnn):
                return [models.wrapped(models.CnnClassifier, models.CnnConfig(**shape, **objective.names), model)]
            return [models.wrapped(models.ResNetClassifier, models.ResNetConfig(**shape, **objective.names), model)]

        def top(pooled: torch.Tensor) -> torch.Tensor:
            return model.classifier(model.dropout(pooled))

        return Task(model, inputs, model.classifier, portable=portable, top=top)

    return build


def _shape(settings: Cnn | ResNet) -> dict[str, Any]:
    if isinstance(settings, Cnn):
        return {"channels": tuple(settings.channels)}
    shape = {"block": settings.block, "stem_stride": settings.stem_stride}
    return shape | {"widths": tuple(settings.widths), "depths": tuple(settings.depths)}


def pixel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the pixels in [0, 1] per colour; a constant colour has deviation 1."""
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])
    shares = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    mean = shares @ values
    std = np.sqrt(shares @ values**2 - mean**2 + 1e-12)
    std[std < 1e-4] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())


def augmented(images: torch.Tensor, rng: np.random.Generator, padding: str = "edge") -> torch.Tensor:
    """Return images [n, s, s, 3] shifted by up to an eighth of their side and flipped left to right at random.

    padding: what appears at the border, its last pixel repeated (edge) or its mirror image (reflect). One gather on the
    device of the images.
    """
    n, side = images.shape[:2]
    reach = max(1, side // 8)
    inside = np.pad(np.arange(side), reach, mode="edge" if padding == "edge" else "reflect")
    shifts, flips = rng.integers(0, 2 * reach + 1, (n, 2)), rng.random(n) < 0.5
    rows = inside[shifts[:, :1] + np.arange(side)]
    columns = inside[shifts[:, 1:] + np.arange(side)]
    columns[flips] = columns[flips, ::-1]
    places = (np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :])
    return images[tuple(torch.from_numpy(place).to(images.device) for place in places)]
