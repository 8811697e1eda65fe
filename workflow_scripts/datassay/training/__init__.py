"""Training: one loop for all recipes, which records the dynamics while the model learns.

A recipe (finetune, finetune_image, head, cnn, resnet) is a module and how row numbers become its inputs: `_recipes.py`.
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
from datassay.training.guidance import Guidance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Guidance", "Recording", "retrain", "train", "tune"]


@dataclass(frozen=True)
class Recording:
    """What one training run leaves. N: all rows, n: train rows, both in the order of examples.

    logits: float32 (or float16, as `dynamics_type` says) [E, N, C] after every epoch, memory-mapped where they are more
    than 4 GiB; multiple choice: one per option; regression: the predicted number, on
    the scale of the labels (C = 1). features: float32 [N, d], input of the last linear layer after the last epoch;
    multiple choice: that of the option under the label, of the predicted one where there is none. feature_norms:
    float32 [E, N], Euclidean norm of that input after every epoch. mc_logits: float32 [M, n, C], after the last epoch,
    dropout on and all else in eval mode; M is 0 for a network without dropout. metrics: one row per epoch and split:
    what `scores` gives for the recorded logits, and learning_rate (at the end of the epoch). Times are in the log:
    equal runs are equal bytes.

    Logits and norms are those of the model after the epoch, in eval mode. With `dynamics: online` those of the learnt
    rows are what the model said when it learnt from the row in that epoch (dropout on, weights on the move), at no
    extra pass; all other rows, and the last epoch, whose features need a pass anyway, are in eval mode all the same.
    """

    logits: np.ndarray
    features: np.ndarray
    feature_norms: np.ndarray
    mc_logits: np.ndarray
    metrics: "pd.DataFrame"
    _parts: Sequence[Any]

    def save_model(self, folder: str | Path) -> None:
        """Save weights (safetensors), config and tokenizer to a folder that from_pretrained loads."""
        save_parts(self._parts, folder)


def train(
    examples: "pd.DataFrame",
    vectors: np.ndarray | None,
    label_names: Sequence[str],
    settings: Training,
    seed: int,
    checkpoints: Checkpoints,
    task: str = "classification",
) -> Recording:
    """Train one model with one seed on the labelled train rows, probes among them, and record its dynamics.

    examples: split, label (class or option number, negative or missing: unlabelled; regression: a number, NaN or
    missing: unlabelled), and text (text_b, options) or image. vectors: float32 [N, d] for the head recipe, else None.
    label_names: of the classes. settings: a model block of the config. task: classification (cross-entropy over the
    classes), regression (squared error of labels standardised by those learnt from) or multiple_choice (cross-entropy
    over the scores of the options).

    After every epoch the trainable weights, the optimiser and the logits are checkpoint records, after every dropout
    pass its logits: a killed run goes on and ends with the bytes of an undisturbed one. Initialisation, order of the
    data and dropout are three streams that depend on (seed, epoch) alone. Same seed, machine, number of threads and
    versions: same bytes; with another number of threads sums run in another order and training drifts apart slowly.
    After a CUDA out of memory the micro-batch is halved at the same effective batch (other dropout masks from there).

    Raises DatassayError: no labelled train rows, labels that do not fit the task or leave nothing to learn, vectors
    that do not fit, a loss that is not finite. Time O(E (n + N)) network passes (a pass of multiple choice reads every
    option), memory O(E N C) beside the model.
    """
    from datassay.training._record import record

    labels = _checked_labels(examples, vectors, label_names, settings, task)
    return record(examples, vectors, labels, label_names, settings, seed, checkpoints, task)


def retrain(
    examples: "pd.DataFrame",
    vectors: np.ndarray | None,
    label_names: Sequence[str],
    settings: Training,
    seeds: Sequence[int],
    kept_rows: np.ndarray | None = None,
    task: str = "classification",
    checkpoints: Checkpoints | None = None,
    guidance: Guidance | None = None,
    every_epoch: bool = False,
    by_group: bool = False,
) -> list[dict[str, float]]:
    """Train from scratch on some of the train rows, once per seed, without recording.

    kept_rows: positions among the train rows (0..n-1; probes are none), None for all of them. guidance: of the rows
    that are trained on, in their order. The rest as in `train`, with the same loop.

    Returns one dict per seed: seed, n_kept, every metric of `scores` on the test split after the last epoch, and the
    same of the validation split with the prefix validation_; NaN where a split has no labelled rows. Nothing is chosen
    on any split. every_epoch: one dict per seed and epoch (with the key epoch, from 1) instead. by_group: add the
    accuracies of `group_scores` on the test split, by the column `group`. checkpoints: keep the result of every seed,
    and on SIGTERM the epoch of the one under way, so that a killed call goes on with the same numbers.
    Raises DatassayError as `train`, for kept_rows outside the train rows or without a label, and for guidance of
    another task than classification.
    """
    from datassay.training._evaluate import evaluate_seeds

    labels = _checked_labels(examples, vectors, label_names, settings, task)
    if guidance is not None and task != "classification":
        raise DatassayError(f"guidance: for a classification only, the task is {task}")
    train_rows = np.flatnonzero((examples["split"] == "train").to_numpy())
    if kept_rows is not None:
        kept_rows = np.sort(np.asarray(kept_rows, dtype=np.int64))
        if len(kept_rows) == 0 or kept_rows[0] < 0 or kept_rows[-1] >= len(train_rows):
            raise DatassayError(f"kept_rows: needs positions among the {len(train_rows)} train rows, at least one")
        train_rows = train_rows[kept_rows]
        if not known(labels, task)[train_rows].any():
            raise DatassayError(f"kept_rows: none of the {len(train_rows)} rows has a label")
    more = (guidance, every_epoch, by_group)
    return evaluate_seeds(examples, vectors, labels, label_names, settings, seeds, train_rows, task, checkpoints, *more)


def tune(
    examples: "pd.DataFrame",
    label_names: Sequence[str],
    settings: Training,
    seed: int,
    checkpoints: Checkpoints,
    folder: str | Path,
    task: str = "classification",
) -> None:
    """Train on the labelled train rows as `train` does, record nothing, and save the model to a folder.

    The folder holds weights (safetensors), config and tokenizer, and loads with from_pretrained. After every epoch the
    state is a checkpoint record. Raises DatassayError as `train`.
    """
    from datassay.training._tune import fit_model

    labels = _checked_labels(examples, None, label_names, settings, task)
    save_parts(fit_model(examples, labels, label_names, settings, seed, checkpoints, task), folder)


def save_parts(parts: Sequence[Any], folder: str | Path) -> None:
    """Save weights, config and tokenizer to a folder that from_pretrained loads."""
    from transformers.utils.logging import disable_progress_bar

    from datassay.storage import atomic_path

    disable_progress_bar()
    with atomic_path(folder) as temporary:
        for part in parts:
            part.save_pretrained(temporary)


def known(labels: np.ndarray, task: str) -> np.ndarray:
    """Return which labels are there, bool [N]: not NaN in a regression, not negative otherwise."""
    return np.isfinite(labels) if task == "regression" else labels >= 0


def _checked_labels(
    examples: "pd.DataFrame", vectors: np.ndarray | None, label_names: Sequence[str], settings: Training, task: str
) -> np.ndarray:
    """Return labels [N]: int64, -1 where there is none; float64 of a regression, NaN where there is none."""
    where = f"model '{settings.name}'"
    if vectors is not None and len(vectors) != len(examples):
        raise DatassayError(f"{where}: {len(vectors)} vectors for {len(examples)} examples")
    if task == "regression":
        labels = examples["label"].to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        labels = np.maximum(examples["label"].fillna(-1).to_numpy(dtype=np.int64), -1)
        _check_numbers(labels, examples, label_names, task, where)
    train_labels = labels[(examples["split"] == "train").to_numpy() & known(labels, task)]
    if len(train_labels) == 0:
        raise DatassayError(f"{where}: no labelled rows in the train split")
    if task != "multiple_choice" and np.ptp(train_labels) == 0:
        same = train_labels[0] if task == "regression" else f"'{label_names[train_labels[0]]}'"
        raise DatassayError(f"{where}: all train labels are {same}, at least 2 different ones needed")
    return labels


def _check_numbers(
    labels: np.ndarray, examples: "pd.DataFrame", label_names: Sequence[str], task: str, where: str
) -> None:
    count = len(label_names)
    if task == "multiple_choice":
        if "options" not in examples.columns:
            raise DatassayError(f"{where}: multiple choice needs a column 'options', there is none")
        counts = examples["options"].map(len)
        count = int(counts.iloc[0])
        if counts.nunique() > 1:
            raise DatassayError(f"{where}: {counts.min()} to {counts.max()} options, every row needs the same number")
    if count < 2:
        found, least = ("option", "a choice") if task == "multiple_choice" else ("class", "a classifier")
        raise DatassayError(f"{where}: {count} {found}, {least} needs at least 2")
    if labels.max(initial=-1) >= count:
        raise DatassayError(f"{where}: label {labels.max()} found, allowed: 0 to {count - 1}")
