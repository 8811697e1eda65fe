"""Recipes: a module, and how row numbers become its inputs. Here the head on vectors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from datassay.config import Cnn, Finetune, FinetuneImage, Head, ResNet, Training
from datassay.errors import DatassayError
from datassay.training._networks import HeadNetwork
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
    top: what head reads -> logits, dropout included, where nothing below it drops anything.
    """

    model: Any
    inputs: Callable[[np.ndarray, np.random.Generator | None], Inputs]
    head: nn.Linear
    frozen: Sequence[nn.Module] = ()
    lengths: np.ndarray | None = None
    restore: Callable[[], None] = field(default=lambda: None)
    portable: Callable[[], Sequence[Any]] = field(default=lambda: ())
    top: Callable[[torch.Tensor], torch.Tensor] | None = None

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
    if isinstance(settings, FinetuneImage):
        from datassay.training._finetune_image import finetune_image

        return finetune_image(examples, objective, settings)
    from datassay.training._small_images import small_images

    assert isinstance(settings, Cnn | ResNet)
    return small_images(examples, objective, settings)


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


def last_linear(model: Any) -> nn.Linear:
    """Return the linear layer of a transformers model that gives its logits."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == model.config.num_labels]
    if not layers:
        raise DatassayError(
            f"model type '{model.config.model_type}': no linear layer of {model.config.num_labels} logits"
        )
    return layers[-1]
