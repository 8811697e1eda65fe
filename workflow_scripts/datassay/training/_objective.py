"""What a model is to learn: the class of a row, its number, or which of its options is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, mse_loss

from datassay.training import known


@dataclass(frozen=True)
class Objective:
    """Labels, and how logits answer them.

    labels: [N], class or option numbers, -1 unknown; regression: numbers on their own scale, NaN unknown. outputs:
    logits per row (C). names: what the config of a transformers model is to hold; its num_labels is 1 for multiple
    choice, where the model scores one option at a time. mean, std: of the labels that are learnt from; a regression
    learns standardised labels and answers on their own scale, any other task has 0 and 1.
    """

    task: str
    labels: np.ndarray
    outputs: int
    names: dict[str, Any]
    mean: float = 0.0
    std: float = 1.0

    @property
    def labelled(self) -> np.ndarray:
        """Which rows have a label, bool [N]."""
        return known(self.labels, self.task)

    def targets(self, device: torch.device) -> torch.Tensor:
        """Return what the logits are compared with, [N]."""
        if self.task == "regression":
            return torch.from_numpy(((self.labels - self.mean) / self.std).astype(np.float32)).to(device)
        return torch.from_numpy(self.labels).to(device)

    def loss(self, logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Return the summed loss of logits [n, C] against targets [n]."""
        if self.task == "regression":
            return mse_loss(logits[:, 0], wanted, reduction="sum")
        return cross_entropy(logits, wanted, reduction="sum")

    def guided_loss(
        self, logits: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor | None, doubts: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the summed loss with weights [n] of the rows and doubts [n] about their labels; see `Guidance`."""
        losses = cross_entropy(logits, wanted, reduction="none")
        if doubts is not None:
            said = -(logits.detach().softmax(dim=1) * logits.log_softmax(dim=1)).sum(dim=1)
            losses = (1 - doubts) * losses + doubts * said
        return (losses if weights is None else weights * losses).sum()

    def chosen(self, rows: np.ndarray, logits: torch.Tensor) -> torch.Tensor:
        """Return the number of the option under the label, of the predicted one where there is no label; int64 [n]."""
        labels = torch.from_numpy(self.labels[rows]).to(logits.device)
        return torch.where(labels >= 0, labels, logits.argmax(dim=1))


def make_objective(
    task: str, labels: np.ndarray, label_names: Sequence[str], options: int, fit: np.ndarray
) -> Objective:
    """Return the objective of a task; fit: the rows that are learnt from, options: how many every row has."""
    if task == "regression":
        learnt = labels[fit]
        mean, std = float(learnt.mean()), float(learnt.std()) if np.ptp(learnt) > 0 else 1.0
        scale = {"problem_type": "regression", "label_mean": mean, "label_std": std}
        return Objective(task, labels, 1, _named(["label"]) | scale, mean, std)
    if task == "multiple_choice":
        return Objective(task, labels, options, _named(["score"]))
    return Objective(task, labels, len(label_names), _named([str(name) for name in label_names]))


def _named(outputs: list[str]) -> dict[str, Any]:
    return {
        "num_labels": len(outputs),
        "id2label": dict(enumerate(outputs)),
        "label2id": {name: i for i, name in enumerate(outputs)},
    }
