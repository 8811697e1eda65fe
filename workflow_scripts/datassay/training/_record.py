"""Running the loop with and without recording, and going on after a kill."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import Training
from datassay.data.source import TRAINED
from datassay.errors import DatassayError
from datassay.training import Recording, known
from datassay.training._dropout import dropout_logits
from datassay.training._objective import Objective, make_objective
from datassay.training._outputs import Outputs
from datassay.training._recipes import prepare
from datassay.training._trainer import Run, epochs, make_accelerator, predict, reproducible, start
from datassay.training.parallel import all_agree, is_first, stop_agreed, sum_outputs
from datassay.training.scores import scores

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

KEPT_STATES = 2
MOST_LOGITS = 4 << 30  # bytes of all epochs kept in memory while training
LEADING = {"classification": "accuracy", "multiple_choice": "accuracy", "regression": "pearson"}  # in the log
Arrays = dict[str, np.ndarray]


def record(
    examples: "pd.DataFrame",
    vectors: np.ndarray | None,
    labels: np.ndarray,
    label_names: Sequence[str],
    settings: Training,
    seed: int,
    checkpoints: Checkpoints,
    task: str,
) -> Recording:
    """Train and record; see `datassay.training.train`. Of several processes the first has the whole record."""
    import pandas as pd

    splits = examples["split"].to_numpy()
    train_rows = np.flatnonzero(splits == "train")
    learnt_rows = np.flatnonzero(examples["split"].isin(TRAINED))
    objective, fit = learnt(examples, labels, label_names, learnt_rows, task)
    online = Outputs(fit, objective) if settings.dynamics == "online" else None
    with reproducible():
        accelerator = make_accelerator(settings)
        run = start(prepare(examples, vectors, objective, settings), accelerator, objective, settings, seed)
        done = _resume(run, checkpoints)
        started = time.monotonic()
        for epoch, loss in epochs(run, fit, len(done), online):
            run.task.mode(training=False)
            last = epoch == settings.epochs - 1
            found = _observed(run, len(examples), None if last else online, features=last)
            _progress(epoch, loss, found["logits"], objective, splits, settings, time.monotonic() - started)
            done.append(_kept(found, settings))
            if is_first():
                checkpoints.save(_logits_name(epoch), found)
                checkpoints.save(_state_name(epoch), saved_state(run))
                checkpoints.drop(_state_name(epoch - KEPT_STATES))
            unit_done("epoch", stop_agreed(accelerator))
            started = time.monotonic()
        mc_logits = dropout_logits(run, train_rows, done[-1]["features"][train_rows], checkpoints)
        run.task.restore()
        parts = run.task.portable()
    return Recording(
        logits=_stacked(done, checkpoints) if is_first() else np.empty((0, 0, 0), np.float32),
        features=done[-1]["features"],
        feature_norms=np.stack([arrays["feature_norms"] for arrays in done]),
        mc_logits=mc_logits,
        metrics=_metrics(done, checkpoints, objective, splits) if is_first() else pd.DataFrame(),
        _parts=parts,
    )


def learnt(
    examples: "pd.DataFrame", labels: np.ndarray, label_names: Sequence[str], rows: np.ndarray, task: str
) -> tuple[Objective, np.ndarray]:
    """Return the objective and those of the rows that have a label to learn."""
    options = len(examples["options"].iloc[0]) if task == "multiple_choice" else 0
    fit = rows[known(labels, task)[rows]]
    return make_objective(task, labels, label_names, options, fit), fit


def _observed(run: Run, total: int, online: Outputs | None, features: bool) -> Arrays:
    """Return what the model says of all rows; of those that were heard while it learnt, what it said then."""
    everything = np.arange(total)
    rest = everything if online is None else np.setdiff1d(everything, online.rows)
    found = predict(run, rest, features)
    arrays = {
        "logits": np.empty((total, run.objective.outputs), run.settings.dynamics_type),
        "feature_norms": np.empty(total, np.float32),
        "learning_rate": np.array(run.optimizer.param_groups[0]["lr"]),
    }
    if online is not None:
        sum_outputs(online, run.accelerator)
    for part in [found] if online is None else [found, online]:
        largest = np.finfo(run.settings.dynamics_type).max
        arrays["logits"][part.rows] = np.clip(part.logits, -largest, largest)
        arrays["feature_norms"][part.rows] = part.norms
    if online is not None:
        online.clear()
    return arrays if found.features is None else arrays | {"features": found.features}


def _kept(arrays: Arrays, settings: Training) -> Arrays:
    """Return what stays in memory of an epoch's record: no logits where those of all epochs would fill it."""
    large = settings.epochs * arrays["logits"].nbytes > MOST_LOGITS
    return {name: array for name, array in arrays.items() if name != "logits" or not large}


def _logits_of(epoch: int, arrays: Arrays, checkpoints: Checkpoints) -> np.ndarray:
    if "logits" in arrays:
        return arrays["logits"]
    saved = checkpoints.load(_logits_name(epoch))
    if saved is None:
        raise DatassayError(f"{checkpoints.folder / _logits_name(epoch)}: damaged while it was in use, run again")
    return saved["logits"]


def _stacked(done: list[Arrays], checkpoints: Checkpoints) -> np.ndarray:
    """Return logits [E, N, C], in a file beside the records where they are too many for the memory."""
    if all("logits" in arrays for arrays in done):
        return np.stack([arrays["logits"] for arrays in done])
    first = _logits_of(0, done[0], checkpoints)
    file, shape = checkpoints.folder / "stacked.npy", (len(done), *first.shape)
    stacked = np.lib.format.open_memmap(file, mode="w+", dtype=first.dtype, shape=shape)
    for epoch, arrays in enumerate(done):
        stacked[epoch] = _logits_of(epoch, arrays, checkpoints)
    return stacked


def _logits_name(epoch: int) -> str:
    return f"logits{epoch:05d}"


def _state_name(epoch: int) -> str:
    return f"state{epoch:05d}"


def saved_state(run: Run) -> Arrays:
    """Return trainable weights, buffers and the optimiser's state as arrays."""
    model, optimizer = run.task.model, run.optimizer
    frozen = {name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    arrays = {f"model.{name}": value for name, value in model.state_dict().items() if name not in frozen}
    for number, values in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{number}.{name}": v for name, v in values.items() if isinstance(v, torch.Tensor)}
    return {name: value.detach().cpu().numpy() for name, value in arrays.items()}


def load_state(arrays: Arrays, run: Run) -> None:
    weights: dict[str, torch.Tensor] = {}
    state: dict[int, dict[str, torch.Tensor]] = {}
    parameters = [p for group in run.optimizer.param_groups for p in group["params"]]
    for name, array in arrays.items():
        kind, _, key = name.partition(".")
        if kind == "model":
            weights[key] = torch.from_numpy(array.copy())
        else:
            number, _, entry = key.partition(".")
            value, like = torch.from_numpy(array.copy()), parameters[int(number)]
            if value.shape == like.shape:  # in the memory layout of its parameter, which fused optimisers rely on
                value = torch.empty_like(like).copy_(value)
            state.setdefault(int(number), {})[entry] = value
    run.task.model.load_state_dict(weights, strict=False)
    run.optimizer.load_state_dict({"state": state, "param_groups": run.optimizer.state_dict()["param_groups"]})


def _resume(run: Run, checkpoints: Checkpoints) -> list[Arrays]:
    """Load the newest epoch that is whole, with the logits of all epochs up to it; return these records."""
    there = set(checkpoints.names())
    for epoch in reversed(range(run.settings.epochs)):
        whole, state = _loaded(epoch, checkpoints, run.settings) if _state_name(epoch) in there else ([], None)
        if all_agree(state is not None, run.accelerator) and state is not None:
            load_state(state, run)
            logger.info("going on after epoch %d/%d", epoch + 1, run.settings.epochs)
            return whole
    return []


def _loaded(epoch: int, checkpoints: Checkpoints, settings: Training) -> tuple[list[Arrays], Arrays | None]:
    """Return the records of all epochs up to one and its state, None where any of this is missing."""
    records = (checkpoints.load(_logits_name(e)) for e in range(epoch + 1))
    whole = [_kept(arrays, settings) for arrays in records if arrays is not None]
    return whole, checkpoints.load(_state_name(epoch)) if len(whole) == epoch + 1 else None


def _progress(
    epoch: int,
    loss: float,
    logits: np.ndarray,
    objective: Objective,
    splits: np.ndarray,
    settings: Training,
    seconds: float,
) -> None:
    parts = {split: splits == split for split in ("train", "validation")}
    found = {s: scores(logits[part], objective.labels[part], objective.task) for s, part in parts.items()}
    leading = LEADING[objective.task]
    shown = ", ".join(f"{s} {leading} {f[leading]:.3f}" for s, f in found.items() if np.isfinite(f[leading]))
    logger.info("epoch %d/%d: loss %.3f, %s (%.0f s)", epoch + 1, settings.epochs, loss, shown, seconds)


def _metrics(done: list[Arrays], checkpoints: Checkpoints, objective: Objective, splits: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for epoch, arrays in enumerate(done):
        logits = _logits_of(epoch, arrays, checkpoints)
        for split in ("train", "validation", "valuation", "test"):
            chosen = splits == split
            if objective.labelled[chosen].any():
                rows.append(
                    {
                        "epoch": epoch + 1,
                        "split": split,
                        **scores(logits[chosen], objective.labels[chosen], objective.task),
                        "learning_rate": float(arrays["learning_rate"]),
                    }
                )
    return pd.DataFrame(rows)
