"""Recipes: a module, and how row numbers become its inputs. Here the head on vectors and the small cnn on images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from datassay.config import Cnn, Finetune, Head, Training
from datassay.errors import DatassayError
from datassay.training._networks import CnnNetwork, HeadNetwork
from datassay.training._objective import Objective

if TYPE_CHECKING:
    import pandas as pd

Inputs = dict[str, torch.Tensor]


@dataclass
class Task:
    """What the loop needs of a recipe.

    inputs: (rows, rng) -> keyword arguments of the model, on its device; rng only while training, for augmentation.
    The model answers with logits [n, C], or [n C, 1] where it scores one option at a time. head: the last linear layer.
    frozen: modules that stay in eval mode. lengths: token counts [N], to batch by.
    restore: makes the model whole again after training. portable: the parts to save, each with save_pretrained.
    """

    model: Any
    inputs: Callable[[np.ndarray, np.random.Generator | None], Inputs]
    head: nn.Linear
    frozen: Sequence[nn.Module] = ()
    lengths: np.ndarray | None = None
    restore: Callable[[], None] = field(default=lambda: None)
    portable: Callable[[], Sequence[Any]] = field(default=lambda: ())

    def mode(self, training: bool) -> None:
        """Switch dropout and batch statistics on or off; frozen parts stay off."""
        self.model.train(training)
        for module in self.frozen:
            module.eval()


Build = Callable[[torch.device], Task]


def prepare(examples: "pd.DataFrame", vectors: np.ndarray | None, objective: Objective, settings: Training) -> Build:
    """Read and encode the data of a recipe once; return what builds a fresh model (from torch's random state)."""
    if isinstance(settings, Finetune):
        from datassay.training._finetune import finetune

        return finetune(examples, objective, settings)
    if objective.task == "multiple_choice":
        raise DatassayError(f"model '{settings.name}': multiple choice needs a model that reads, set recipe: finetune")
    if isinstance(settings, Head):
        return _head(vectors, objective, settings)
    assert isinstance(settings, Cnn)
    return _cnn(examples, objective, settings)


def _head(vectors: np.ndarray | None, objective: Objective, settings: Head) -> Build:
    if vectors is None:
        raise DatassayError(f"model '{settings.name}': the head recipe needs the vectors of an encoder")
    matrix = torch.from_numpy(np.array(vectors, dtype=np.float32))

    def build(device: torch.device) -> Task:
        shape: dict[str, Any] = {
            "width": matrix.shape[1],
            "hidden": tuple(settings.hidden),
            "dropout": settings.dropout,
        }
        model = HeadNetwork(**shape, classes=objective.outputs).to(device)
        data = matrix.to(device)

        def inputs(rows: np.ndarray, _: np.random.Generator | None) -> Inputs:
            return {"vectors": data[torch.from_numpy(rows).to(device)]}

        def portable() -> list[Any]:
            from datassay.training._models import HeadClassifier, HeadConfig, wrapped

            return [wrapped(HeadClassifier, HeadConfig(**shape, **objective.names), model)]

        return Task(model, inputs, model.classifier, portable=portable)

    return build


def _cnn(examples: "pd.DataFrame", objective: Objective, settings: Cnn) -> Build:
    from datassay.data.images import decode_images

    if "image" not in examples.columns:
        raise DatassayError(f"model '{settings.name}': the cnn recipe needs a column 'image', there is none")
    images = decode_images(examples["image"], settings.image_size)
    mean, std = pixel_statistics(images[(examples["split"] == "train").to_numpy() & objective.labelled])

    def build(device: torch.device) -> Task:
        shape: dict[str, Any] = {
            "channels": tuple(settings.channels),
            "mean": mean,
            "std": std,
            "dropout": settings.dropout,
        }
        model: Any = CnnNetwork(**shape, classes=objective.outputs)
        model = model.to(device, memory_format=torch.channels_last)

        def inputs(rows: np.ndarray, rng: np.random.Generator | None) -> Inputs:
            batch = images[rows]
            if rng is not None and settings.augment:
                batch = augmented(batch, rng)
            return {"images": torch.from_numpy(batch).to(device)}

        def portable() -> list[Any]:
            from datassay.training._models import CnnClassifier, CnnConfig, wrapped

            return [wrapped(CnnClassifier, CnnConfig(**shape, **objective.names), model)]

        return Task(model, inputs, model.classifier, portable=portable)

    return build


def pixel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the pixels in [0, 1] per colour; a constant colour has deviation 1."""
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])
    shares = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    mean = shares @ values
    std = np.sqrt(shares @ values**2 - mean**2 + 1e-12)
    std[std < 1e-4] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())


def augmented(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images [n, s, s, 3] shifted by up to an eighth of their side and flipped left to right at random."""
    n, side = images.shape[:2]
    reach = max(1, side // 8)
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    shifts, flips = rng.integers(0, 2 * reach + 1, (n, 2)), rng.random(n) < 0.5
    rows = shifts[:, :1] + np.arange(side)
    columns = shifts[:, 1:] + np.arange(side)
    columns[flips] = columns[flips, ::-1]
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
