"""What a model says of rows: its logits, and the vectors that its last linear layer read."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from datassay.training._objective import Objective
from datassay.training._recipes import Inputs, Task


class Outputs:
    """Arrays of n rows, 0 at first, to be filled in any order.

    logits [n, C], norms [n] and, with a width, features [n, width], all float32: logits stand on the scale of the
    labels; features are the inputs of the last linear layer, norms their Euclidean norms.
    """

    def __init__(self, rows: np.ndarray, objective: Objective, width: int = 0) -> None:
        self.rows, self.objective = rows, objective
        self.logits = np.zeros((len(rows), objective.outputs), np.float32)
        self.norms = np.zeros(len(rows), np.float32)
        self.features = np.zeros((len(rows), width), np.float32) if width else None
        self._place = np.empty(rows.max(initial=-1) + 1, np.int64)
        self._place[rows] = np.arange(len(rows))

    def clear(self) -> None:
        """Set all to 0."""
        for array in (self.logits, self.norms, self.features):
            if array is not None:
                array[:] = 0

    def put(self, rows: np.ndarray, logits: torch.Tensor, features: torch.Tensor) -> None:
        """Fill in some of the rows."""
        place, objective = self._place[rows], self.objective
        self.logits[place] = logits.detach().float().cpu().numpy() * objective.std + objective.mean
        self.norms[place] = torch.linalg.vector_norm(features, dim=1).cpu().numpy()
        if self.features is not None:
            self.features[place] = features.cpu().numpy()


class Ear:
    """Hears what the last linear layer of a model reads."""

    def __init__(self, task: Task, objective: Objective) -> None:
        self.task, self.objective = task, objective
        self.hidden: torch.Tensor | None = None

    def features(self, rows: np.ndarray, inputs: Inputs, logits: torch.Tensor) -> torch.Tensor:
        """Return what the head read in the last pass, one vector per row, float32 [n, width].

        Of a head that reads every token (decoders) the one it answers from, of several options the one under the label.
        """
        hidden = self.hidden
        assert hidden is not None
        if hidden.ndim == 3:
            last = _last_token(inputs["input_ids"], self.task.model.config.pad_token_id)
            hidden = hidden[torch.arange(len(hidden), device=hidden.device), last]
        if len(hidden) > len(rows):
            options = hidden.view(len(rows), -1, hidden.shape[-1])
            hidden = options[torch.arange(len(rows), device=hidden.device), self.objective.chosen(rows, logits)]
        return hidden.float()


@contextmanager
def heard(task: Task, objective: Objective) -> Iterator[Ear]:
    """Yield an ear on the last linear layer for the passes of the block."""
    ear = Ear(task, objective)

    def hear(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], _output: torch.Tensor) -> None:
        ear.hidden = inputs[0].detach()

    hook = task.head.register_forward_hook(hear)
    try:
        yield ear
    finally:
        hook.remove()


def answer(task: Task, inputs: Inputs, rows: np.ndarray) -> torch.Tensor:
    """Return the model's logits [n, C] of some rows; scores of single options are laid side by side."""
    return task.model(**inputs).logits.reshape(len(rows), -1)


def _last_token(ids: torch.Tensor, pad: int) -> torch.Tensor:
    """Return the place of the rightmost token that is no padding, 0 where there is none, as transformers finds it."""
    return (torch.arange(ids.shape[1], device=ids.device) * (ids != pad)).argmax(dim=1)
