"""Running the loop with and without recording, and going on after a kill."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import Training
from datassay.training import Recording
from datassay.training._recipes import Task, prepare
from datassay.training._trainer import (
    epochs,
    make_accelerator,
    make_optimizer,
    predict,
    reproducible,
    torch_seed,
)
from datassay.training.scores import scores

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

KEPT_STATES = 2
Arrays = dict[str, np.ndarray]


def record(
    examples: "pd.DataFrame",
    vectors: np.ndarray | None,
    labels: np.ndarray,
    label_names: Sequence[str],
    settings: Training,
    seed: int,
    checkpoints: Checkpoints,
) -> Recording:
    """Train and record; see `datassay.training.train`."""
    splits = examples["split"].to_numpy()
    with reproducible():
        accelerator = make_accelerator(settings)
        build = prepare(examples, vectors, labels, label_names, settings)
        torch.manual_seed(torch_seed(seed, "initialisation"))
        task = build(accelerator.device)
        optimizer = make_optimizer(task.model, settings)
        done = _resume(task.model, optimizer, settings, checkpoints)
        everything, train_rows = np.arange(len(examples)), np.flatnonzero(splits == "train")
        started = time.monotonic()
        fit = train_rows[labels[train_rows] >= 0]
        for epoch, loss in epochs(task, optimizer, accelerator, labels, fit, settings, seed, len(done)):
            task.mode(training=False)
            last = epoch == settings.epochs - 1
            found = predict(task, accelerator, everything, len(label_names), settings, features=last)
            taken = time.monotonic() - started
            rate = optimizer.param_groups[0]["lr"]
            done.append({"logits": found.logits, "feature_norms": found.norms, "learning_rate": np.array(rate)})
            if found.features is not None:
                done[-1]["features"] = found.features
            _progress(epoch, loss, found.logits, labels, splits, settings, taken)
            checkpoints.save(_logits_name(epoch), done[-1])
            checkpoints.save(_state_name(epoch), _state(task.model, optimizer))
            checkpoints.drop(_state_name(epoch - KEPT_STATES))
            unit_done("epoch")
            started = time.monotonic()
        mc_logits = _dropout_passes(task, accelerator, train_rows, len(label_names), settings, seed, checkpoints)
        task.restore()
        parts = task.portable()
    return Recording(
        logits=np.stack([arrays["logits"] for arrays in done]),
        features=done[-1]["features"],
        feature_norms=np.stack([arrays["feature_norms"] for arrays in done]),
        mc_logits=mc_logits,
        metrics=_metrics(done, labels, splits),
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
) -> list[dict[str, float]]:
    """Train on train_rows with every seed; see `datassay.training.retrain`."""
    splits = examples["split"].to_numpy()
    fit = train_rows[labels[train_rows] >= 0]
    results = []
    with reproducible():
        accelerator = make_accelerator(settings)
        build = prepare(examples, vectors, labels, label_names, settings)
        for seed in seeds:
            torch.manual_seed(torch_seed(seed, "initialisation"))
            task = build(accelerator.device)
            optimizer = make_optimizer(task.model, settings)
            for _ in epochs(task, optimizer, accelerator, labels, fit, settings, seed):
                pass
            task.mode(training=False)
            result: dict[str, float] = {"seed": seed, "n_kept": len(train_rows)}
            for split, prefix in (("test", ""), ("validation", "validation_")):
                rows = np.flatnonzero((splits == split) & (labels >= 0))
                logits = predict(task, accelerator, rows, len(label_names), settings).logits
                found = scores(logits, labels[rows])
                result |= {prefix + name: found[name] for name in ("accuracy", "macro_f1")}
            results.append(result)
            logger.info("seed %d: %d rows kept, test accuracy %.3f", seed, len(train_rows), result["accuracy"])
    return results


def _logits_name(epoch: int) -> str:
    return f"logits{epoch:05d}"


def _state_name(epoch: int) -> str:
    return f"state{epoch:05d}"


def _state(model: nn.Module, optimizer: torch.optim.Optimizer) -> Arrays:
    """Return trainable weights, buffers and the optimiser's state as arrays."""
    frozen = {name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    arrays = {f"model.{name}": value for name, value in model.state_dict().items() if name not in frozen}
    for number, values in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{number}.{name}": v for name, v in values.items() if isinstance(v, torch.Tensor)}
    return {name: value.detach().cpu().numpy() for name, value in arrays.items()}


def _load_state(arrays: Arrays, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    weights: dict[str, torch.Tensor] = {}
    state: dict[int, dict[str, torch.Tensor]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
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
    model.load_state_dict(weights, strict=False)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _resume(
    model: nn.Module, optimizer: torch.optim.Optimizer, settings: Training, checkpoints: Checkpoints
) -> list[Arrays]:
    """Load the newest epoch that is whole, with the logits of all epochs up to it; return these records."""
    states = [name for name in checkpoints.names() if name.startswith("state")]
    for name in reversed(states):
        epoch = int(name.removeprefix("state"))
        records = [checkpoints.load(_logits_name(e)) for e in range(epoch + 1)]
        whole = [arrays for arrays in records if arrays is not None]
        if len(whole) == epoch + 1 and (state := checkpoints.load(name)) is not None:
            _load_state(state, model, optimizer)
            logger.info("going on after epoch %d/%d", epoch + 1, settings.epochs)
            return whole
    return []


def _dropout_passes(
    task: Task,
    accelerator: Accelerator,
    rows: np.ndarray,
    classes: int,
    settings: Training,
    seed: int,
    checkpoints: Checkpoints,
) -> np.ndarray:
    """Return logits [M, n, C] with dropout on and batch statistics fixed; M = 0 where there is no dropout."""
    task.mode(training=True)
    for module in task.model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    passes = settings.mc_passes if _has_dropout(task.model) else 0
    if passes < settings.mc_passes:
        logger.info("the network has no dropout: no dropout passes")
    out = np.empty((passes, len(rows), classes), np.float32)
    started = time.monotonic()
    for number in range(passes):
        name = f"dropout{number:05d}"
        arrays = checkpoints.load(name)
        if arrays is None:
            torch.manual_seed(torch_seed(seed, "dropout pass", number))
            arrays = {"logits": predict(task, accelerator, rows, classes, settings).logits}
            checkpoints.save(name, arrays)
            unit_done("dropout_pass")
        out[number] = arrays["logits"]
        if time.monotonic() - started > 10 or number == passes - 1:
            logger.info("dropout pass %d of %d", number + 1, passes)
            started = time.monotonic()
    return out


def _has_dropout(model: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.dropout._DropoutNd) and m.training and m.p > 0 for m in model.modules())


def _progress(
    epoch: int,
    loss: float,
    logits: np.ndarray,
    labels: np.ndarray,
    splits: np.ndarray,
    settings: Training,
    seconds: float,
) -> None:
    found = {s: scores(logits[splits == s], labels[splits == s])["accuracy"] for s in ("train", "validation")}
    shown = ", ".join(f"{split} accuracy {value:.3f}" for split, value in found.items() if np.isfinite(value))
    logger.info("epoch %d/%d: loss %.3f, %s (%.0f s)", epoch + 1, settings.epochs, loss, shown, seconds)


def _metrics(done: list[Arrays], labels: np.ndarray, splits: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for epoch, arrays in enumerate(done):
        for split in ("train", "validation", "valuation", "test"):
            chosen = splits == split
            if (labels[chosen] >= 0).any():
                rows.append(
                    {
                        "epoch": epoch + 1,
                        "split": split,
                        **scores(arrays["logits"][chosen], labels[chosen]),
                        "learning_rate": float(arrays["learning_rate"]),
                    }
                )
    return pd.DataFrame(rows)
