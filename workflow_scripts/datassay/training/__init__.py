"""Training: one loop for all recipes, which records the dynamics while the model learns.

A recipe (finetune, head, cnn) is a module and how row numbers become its inputs; see `_recipes.py` and `_finetune.py`.
Everything here is light to import; torch is loaded by the functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.checkpoints import Checkpoints
from datassay.config import Training
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Recording", "retrain", "train"]


@dataclass(frozen=True)
class Recording:
    """What one training run leaves. N: all rows, n: train rows, both in the order of examples.

    logits: float32 [E, N, C], eval mode, after every epoch. features: float32 [N, d], input of the last linear layer
    after the last epoch. feature_norms: float32 [E, N], Euclidean norm of that input after every epoch. mc_logits:
    float32 [M, n, C], after the last epoch, dropout on and all else in eval mode; M is 0 for a network without
    dropout. metrics: one row per epoch and split: loss (cross-entropy in eval mode), accuracy, macro_f1,
    learning_rate (at the end of the epoch). Times are in the log: equal runs are equal bytes.
    """

    logits: np.ndarray
    features: np.ndarray
    feature_norms: np.ndarray
    mc_logits: np.ndarray
    metrics: "pd.DataFrame"
    _parts: Sequence[Any]

    def save_model(self, folder: str | Path) -> None:
        """Save weights (safetensors), config and tokenizer to a folder that from_pretrained loads."""
        from transformers.utils.logging import disable_progress_bar

        from datassay.storage import atomic_path

        disable_progress_bar()
        with atomic_path(folder) as temporary:
            for part in self._parts:
                part.save_pretrained(temporary)


def train(
    examples: "pd.DataFrame",
    vectors: np.ndarray | None,
    label_names: Sequence[str],
    settings: Training,
    seed: int,
    checkpoints: Checkpoints,
) -> Recording:
    """Train one model with one seed on the labelled train rows and record its dynamics.

    examples: split, label (class number, negative or missing: unlabelled), and text (text_b) or image.
    vectors: float32 [N, d] for the head recipe, else None. settings: Finetune, Head or Cnn.

    After every epoch the trainable weights, the optimiser and the logits are checkpoint records, after every dropout
    pass its logits: a killed run goes on and ends with the bytes of an undisturbed one. Initialisation, order of the
    data and dropout are three streams that depend on (seed, epoch) alone. Same seed, machine, number of threads and
    versions: same bytes; with another number of threads sums run in another order and training drifts apart slowly.
    After a CUDA out of memory the micro-batch is halved at the same effective batch (other dropout masks from there).

    Raises DatassayError: no labelled train rows, fewer than 2 classes, vectors that do not fit, a loss that is not
    finite. Time O(E (n + N)) network passes, memory O(E N C) beside the model.
    """
    from datassay.training._record import record

    labels = _checked_labels(examples, vectors, label_names, settings)
    return record(examples, vectors, labels, label_names, settings, seed, checkpoints)


def retrain(
    examples: "pd.DataFrame",
    vectors: np.ndarray | None,
    label_names: Sequence[str],
    settings: Training,
    seeds: Sequence[int],
    kept_rows: np.ndarray | None = None,
) -> list[dict[str, float]]:
    """Train from scratch on some of the train rows, once per seed, without recording.

    kept_rows: positions among the train rows (0..n-1), None for all of them. The rest as in `train`, with the same
    loop. Returns one dict per seed: seed, n_kept, accuracy and macro_f1 on the test split after the last epoch, and
    validation_accuracy, validation_macro_f1; NaN where a split has no labelled rows. Nothing is chosen on any split.
    Raises DatassayError as `train`, and for kept_rows outside the train rows.
    """
    from datassay.training._record import evaluate_seeds

    labels = _checked_labels(examples, vectors, label_names, settings)
    train_rows = np.flatnonzero((examples["split"] == "train").to_numpy())
    if kept_rows is not None:
        kept_rows = np.sort(np.asarray(kept_rows, dtype=np.int64))
        if len(kept_rows) == 0 or kept_rows[0] < 0 or kept_rows[-1] >= len(train_rows):
            raise DatassayError(f"kept_rows: needs positions among the {len(train_rows)} train rows, at least one")
        train_rows = train_rows[kept_rows]
    return evaluate_seeds(examples, vectors, labels, label_names, settings, seeds, train_rows)


def _checked_labels(
    examples: "pd.DataFrame", vectors: np.ndarray | None, label_names: Sequence[str], settings: Training
) -> np.ndarray:
    """Return labels int64 [N], -1 where there is none."""
    where = f"model '{settings.name}'"
    if len(label_names) < 2:
        raise DatassayError(f"{where}: {len(label_names)} class, a classifier needs at least 2")
    labels = examples["label"].fillna(-1).to_numpy(dtype=np.int64)
    labels = np.where(labels < 0, -1, labels)
    if labels.max(initial=-1) >= len(label_names):
        raise DatassayError(f"{where}: label {labels.max()} found, allowed: 0 to {len(label_names) - 1}")
    train_labels = labels[(examples["split"] == "train").to_numpy()]
    if not (train_labels >= 0).any():
        raise DatassayError(f"{where}: no labelled rows in the train split")
    if len(np.unique(train_labels[train_labels >= 0])) < 2:
        raise DatassayError(
            f"{where}: all train labels are '{label_names[train_labels.max()]}', at least 2 classes needed"
        )
    if vectors is not None and len(vectors) != len(examples):
        raise DatassayError(f"{where}: {len(vectors)} vectors for {len(examples)} examples")
    return labels
