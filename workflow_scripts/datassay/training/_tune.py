"""Training for the model alone: nothing is recorded on the way."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import Training
from datassay.training._recipes import prepare
from datassay.training._record import learnt, load_state, saved_state
from datassay.training._trainer import epochs, make_accelerator, reproducible, start

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def fit_model(
    examples: "pd.DataFrame",
    labels: np.ndarray,
    label_names: Sequence[str],
    settings: Training,
    seed: int,
    checkpoints: Checkpoints,
    task: str,
) -> Sequence[Any]:
    """Train on the train rows and return the parts to save; see `datassay.training.tune`."""
    train_rows = np.flatnonzero((examples["split"] == "train").to_numpy())
    objective, fit = learnt(examples, labels, label_names, train_rows, task)
    with reproducible():
        accelerator = make_accelerator(settings)
        run = start(prepare(examples, None, objective, settings), accelerator, objective, settings, seed)
        first = 0
        if (arrays := checkpoints.load("tuned")) is not None:
            first = int(arrays.pop("epochs"))
            load_state(arrays, run)
            logger.info("going on after epoch %d/%d", first, settings.epochs)
        for epoch, loss in epochs(run, fit, first):
            logger.info("epoch %d/%d: loss %.3f", epoch + 1, settings.epochs, loss)
            checkpoints.save("tuned", saved_state(run) | {"epochs": np.array(epoch + 1)})
            unit_done("epoch")
        run.task.restore()
        return run.task.portable()
