"""The model of a run, trained again on every labelled set; torch loads with this module."""

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from datassay.active_learning.initial import held_out
from datassay.active_learning.metrics import class_scores
from datassay.config import ActiveLearning, Training
from datassay.randomness import generator
from datassay.training._dropout import dropout_logits
from datassay.training._objective import make_objective
from datassay.training._outputs import Outputs
from datassay.training._recipes import prepare
from datassay.training._trainer import Run, epochs, make_accelerator, predict, start

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fit:
    """A trained model: steps and epochs it took, the epoch that counts, and its score there (NaN without stopping)."""

    run: Run
    steps: int
    epochs: int
    best_epoch: int
    score: float

    def predict(self, rows: np.ndarray, features: bool = False) -> Outputs:
        """Return logits, and with `features` the inputs of the last layer, in evaluation mode."""
        self.run.task.mode(training=False)
        return predict(self.run, rows, features)

    def dropout(self, rows: np.ndarray) -> np.ndarray:
        """Return logits [M, n, C] of passes with dropout on."""
        outputs = self.predict(rows, features=True)
        assert outputs.features is not None
        return dropout_logits(self.run, rows, outputs.features)

    def weights(self) -> Weights:
        """Return the weights that learn, and the buffers, as arrays."""
        return {name: value.cpu().numpy() for name, value in _copy(self.run).items()}


class Learner:
    """Texts tokenised, vectors loaded and the device chosen once; `fit` starts from the pretrained weights."""

    def __init__(
        self,
        examples: "pd.DataFrame",
        vectors: np.ndarray | None,
        labels: np.ndarray,
        names: list[str],
        minority: list[int],
        settings: Training,
        loop: ActiveLearning,
        seeds: tuple[int, int],
    ) -> None:
        self.labels, self.names, self.minority = labels, names, minority
        self.settings, self.loop = settings, loop
        self.order_seed, self.seed = seeds
        self.objective = make_objective("classification", labels, names, 0, np.empty(0, np.int64))
        self.accelerator = make_accelerator(settings)
        self.build = prepare(examples, vectors, self.objective, settings)
        self.priority = generator(self.order_seed, "held out").random(len(labels))

    def fit(self, rows: np.ndarray, weights: Weights | None = None) -> Fit:
        """Train on labelled rows, from `weights` where they are given; stop early and choose an epoch as configured."""
        stopping = self.loop.stopping
        fit, watched = rows, rows
        if stopping.watch == "held_out":
            out = held_out(rows, self.labels, stopping.share, self.priority)
            fit, watched = rows[~out], rows[out]
        run = self.fresh(self.seed)
        if weights is not None:
            _load(run, weights)
        return self._train(run, fit, None if stopping.watch == "none" or not len(watched) else watched)

    def fresh(self, seed: int) -> Run:
        """Return a model with pretrained weights and a new head."""
        return start(self.build, self.accelerator, self.objective, self.settings, seed, self.order_seed)

    def steps(self, count: int) -> tuple[int, int]:
        """Return the most steps that training on some rows takes, and how many an epoch has."""
        per_epoch = math.ceil(count / self.settings.batch_size / self.settings.accumulation)
        return max(self.loop.min_steps, self.settings.epochs * per_epoch), per_epoch

    def _train(self, run: Run, fit: np.ndarray, watched: np.ndarray | None) -> Fit:
        steps, per_epoch = self.steps(len(fit))
        best, chosen, kept = (-math.inf, -math.inf), 0, None
        epoch = done = 0
        for epoch, _ in epochs(run, fit, steps=steps):
            done = min((epoch + 1) * per_epoch, steps)
            if watched is None:
                continue
            score = self._score(run, watched)
            if score > best:
                best, chosen, kept = score, epoch, _copy(run)
            elif epoch - chosen >= self.loop.stopping.patience and done >= self.loop.min_steps:
                break
        if kept is None:
            return Fit(run, done, epoch + 1, epoch + 1, math.nan)
        if chosen < epoch:
            _restore(run, kept)
        return Fit(run, done, epoch + 1, chosen + 1, abs(best[0]))

    def _score(self, run: Run, rows: np.ndarray) -> tuple[float, float]:
        """Return what must grow: the metric, and among equals minus the loss."""
        run.task.mode(training=False)
        found = class_scores(predict(run, rows).logits, self.labels[rows], self.names, self.minority)
        metric = self.loop.stopping.metric
        return (-found["loss"] if metric == "loss" else found[metric], -found["loss"])


def _copy(run: Run) -> dict[str, torch.Tensor]:
    frozen = {name for name, p in run.task.model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: value.detach().clone() for name, value in run.task.model.state_dict().items() if name not in frozen}


def _restore(run: Run, kept: dict[str, torch.Tensor]) -> None:
    run.task.model.load_state_dict(kept, strict=False)


def _load(run: Run, weights: Weights) -> None:
    _restore(run, {name: torch.from_numpy(array.copy()) for name, array in weights.items()})
