"""Running the loop with and without recording, and going on after a kill."""

import json
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from datassay.checkpoints import Checkpoints, stop_requested, unit_done
from datassay.config import Training
from datassay.data.source import TRAINED
from datassay.training import Recording, known
from datassay.training._dropout import dropout_logits
from datassay.training._objective import Objective, make_objective
from datassay.training._outputs import Outputs
from datassay.training._recipes import prepare
from datassay.training._trainer import Run, epochs, make_accelerator, predict, reproducible, start
from datassay.training.scores import scores

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

KEPT_STATES = 2
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
    """Train and record; see `datassay.training.train`."""
    splits = examples["split"].to_numpy()
    train_rows = np.flatnonzero(splits == "train")
    learnt_rows = np.flatnonzero(examples["split"].isin(TRAINED))
    objective, fit = _learnt(examples, labels, label_names, learnt_rows, task)
    online = Outputs(fit, objective) if settings.dynamics == "online" else None
    with reproducible():
        accelerator = make_accelerator(settings)
        run = start(prepare(examples, vectors, objective, settings), accelerator, objective, settings, seed)
        done = _resume(run, checkpoints)
        started = time.monotonic()
        for epoch, loss in epochs(run, fit, len(done), online):
            run.task.mode(training=False)
            last = epoch == settings.epochs - 1
            done.append(_observed(run, len(examples), None if last else online, features=last))
            _progress(epoch, loss, done[-1]["logits"], objective, splits, settings, time.monotonic() - started)
            checkpoints.save(_logits_name(epoch), done[-1])
            checkpoints.save(_state_name(epoch), _state(run))
            checkpoints.drop(_state_name(epoch - KEPT_STATES))
            unit_done("epoch")
            started = time.monotonic()
        mc_logits = dropout_logits(run, train_rows, done[-1]["features"][train_rows], checkpoints)
        run.task.restore()
        parts = run.task.portable()
    return Recording(
        logits=np.stack([arrays["logits"] for arrays in done]),
        features=done[-1]["features"],
        feature_norms=np.stack([arrays["feature_norms"] for arrays in done]),
        mc_logits=mc_logits,
        metrics=_metrics(done, objective, splits),
        _parts=parts,
    )


def evaluate_seeds(
    examples: "pd.DataFrame",
    vectors: np.ndarray | None,
    labels: np.ndarray,
    label_names: Sequence[str],
    settings: Training,
    seeds: Sequence[int],
    train_rows: np.ndarray,
    task: str,
    checkpoints: Checkpoints | None,
) -> list[dict[str, float]]:
    """Train on train_rows with every seed; see `datassay.training.retrain`."""
    read = np.union1d(train_rows, np.flatnonzero(examples["split"].isin(["test", "validation"])))
    examples, labels = examples.iloc[read].reset_index(drop=True), labels[read]
    vectors = None if vectors is None else vectors[read]
    train_rows = np.searchsorted(read, train_rows)
    splits = examples["split"].to_numpy()
    objective, fit = _learnt(examples, labels, label_names, train_rows, task)
    results = []
    with reproducible():
        accelerator = make_accelerator(settings)
        build = None
        for seed in seeds:
            result = _known_result(seed, checkpoints)
            if result is None:
                build = build or prepare(examples, vectors, objective, settings)
                run = start(build, accelerator, objective, settings, seed)
                _fit(run, fit, checkpoints)
                result = {"seed": seed, "n_kept": len(train_rows), **_test_scores(run, splits)}
                _keep_result(seed, result, checkpoints)
            results.append(result)
            shown = (seed, len(train_rows), LEADING[task], result[LEADING[task]])
            logger.info("seed %d: %d rows kept, test %s %.3f", *shown)
    return results


def _learnt(
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
        "logits": np.empty((total, run.objective.outputs), np.float32),
        "feature_norms": np.empty(total, np.float32),
        "learning_rate": np.array(run.optimizer.param_groups[0]["lr"]),
    }
    for part in [found] if online is None else [found, online]:
        arrays["logits"][part.rows], arrays["feature_norms"][part.rows] = part.logits, part.norms
    return arrays if found.features is None else arrays | {"features": found.features}


def _fit(run: Run, rows: np.ndarray, checkpoints: Checkpoints | None) -> None:
    """Train without recording; the state is saved only where a signal asks for a stop."""
    name, first = f"seed{run.seed}state", 0
    if checkpoints is not None and (arrays := checkpoints.load(name)) is not None:
        first = int(arrays.pop("epochs"))
        _load_state(arrays, run)
        logger.info("seed %d: going on after epoch %d/%d", run.seed, first, run.settings.epochs)
    for epoch, _ in epochs(run, rows, first):
        if checkpoints is not None and stop_requested():
            checkpoints.save(name, _state(run) | {"epochs": np.array(epoch + 1)})
            unit_done("epoch")


def _test_scores(run: Run, splits: np.ndarray) -> dict[str, float]:
    run.task.mode(training=False)
    objective = run.objective
    found: dict[str, float] = {}
    for split, prefix in (("test", ""), ("validation", "validation_")):
        rows = np.flatnonzero((splits == split) & objective.labelled)
        values = scores(predict(run, rows).logits, objective.labels[rows], objective.task)
        found |= {prefix + name: value for name, value in values.items()}
    return found


def _known_result(seed: int, checkpoints: Checkpoints | None) -> dict[str, float] | None:
    arrays = checkpoints.load(f"seed{seed}") if checkpoints is not None else None
    return None if arrays is None else json.loads(arrays["json"].tobytes())


def _keep_result(seed: int, result: dict[str, float], checkpoints: Checkpoints | None) -> None:
    if checkpoints is not None:
        checkpoints.save(f"seed{seed}", {"json": np.frombuffer(json.dumps(result).encode(), np.uint8)})
        checkpoints.drop(f"seed{seed}state")
        unit_done("seed")


def _logits_name(epoch: int) -> str:
    return f"logits{epoch:05d}"


def _state_name(epoch: int) -> str:
    return f"state{epoch:05d}"


def _state(run: Run) -> Arrays:
    """Return trainable weights, buffers and the optimiser's state as arrays."""
    model, optimizer = run.task.model, run.optimizer
    frozen = {name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    arrays = {f"model.{name}": value for name, value in model.state_dict().items() if name not in frozen}
    for number, values in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{number}.{name}": v for name, v in values.items() if isinstance(v, torch.Tensor)}
    return {name: value.detach().cpu().numpy() for name, value in arrays.items()}


def _load_state(arrays: Arrays, run: Run) -> None:
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
    states = [name for name in checkpoints.names() if name.startswith("state")]
    for name in reversed(states):
        epoch = int(name.removeprefix("state"))
        records = [checkpoints.load(_logits_name(e)) for e in range(epoch + 1)]
        whole = [arrays for arrays in records if arrays is not None]
        if len(whole) == epoch + 1 and (state := checkpoints.load(name)) is not None:
            _load_state(state, run)
            logger.info("going on after epoch %d/%d", epoch + 1, run.settings.epochs)
            return whole
    return []


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


def _metrics(done: list[Arrays], objective: Objective, splits: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for epoch, arrays in enumerate(done):
        for split in ("train", "validation", "valuation", "test"):
            chosen = splits == split
            if objective.labelled[chosen].any():
                rows.append(
                    {
                        "epoch": epoch + 1,
                        "split": split,
                        **scores(arrays["logits"][chosen], objective.labels[chosen], objective.task),
                        "learning_rate": float(arrays["learning_rate"]),
                    }
                )
    return pd.DataFrame(rows)
