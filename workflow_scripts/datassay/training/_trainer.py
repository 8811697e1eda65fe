"""The training loop of all recipes.

An epoch depends on the weights, the optimiser's state and (seed, epoch) alone: no random state has to be saved.
"""

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.nn.functional import cross_entropy

from datassay.config import Training
from datassay.encoders.backbones import resolve_precision
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.training._recipes import Task
from datassay.training.batches import batches, by_length

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10


def torch_seed(*key: object) -> int:
    """Return the seed of torch's stream for a purpose."""
    return int(generator(*key).integers(2**63))


@contextmanager
def reproducible() -> Iterator[None]:
    """Use deterministic kernels and leave torch's own random state as it was."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    deterministic: Any = torch.utils.deterministic
    fill = deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.use_deterministic_algorithms(before)
        deterministic.fill_uninitialized_memory = fill


def make_accelerator(settings: Training) -> Accelerator:
    """Return accelerate's view of the device, with mixed precision as the settings say."""
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision="bf16" if resolve_precision(settings.precision) == "bf16" else "no")


def make_optimizer(model: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """Return the optimiser of the trainable weights; biases, norms and other vectors do not decay."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, fused=True)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, fused=True)


def learning_rate(step: int, steps: int, settings: Training) -> float:
    """Return the learning rate of a step (0 to steps - 1): linear warm-up, then the schedule towards 0."""
    warmup = math.ceil(settings.warmup * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    factor = {"linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done)), "constant": 1.0}
    return settings.learning_rate * factor[settings.schedule]


def epochs(
    task: Task,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    labels: np.ndarray,
    rows: np.ndarray,
    settings: Training,
    seed: int,
    first: int = 0,
) -> Iterator[tuple[int, float]]:
    """Train epoch after epoch from `first` (0 = the first) on `rows`; yield (epoch, mean loss) after each one."""
    targets = torch.from_numpy(labels).to(accelerator.device)
    per_epoch = math.ceil(len(_plan(task, rows, settings, seed, 0)) / settings.accumulation)
    micro_batch = settings.batch_size
    for epoch in range(first, settings.epochs):
        torch.manual_seed(torch_seed(seed, "dropout", epoch))
        rng = generator(seed, "augmentation", epoch)
        task.mode(training=True)
        order = _plan(task, rows, settings, seed, epoch)
        total, seen, spoken = 0.0, 0, time.monotonic()
        for step in range(per_epoch):
            group = order[step * settings.accumulation : (step + 1) * settings.accumulation]
            for options in optimizer.param_groups:
                options["lr"] = learning_rate(epoch * per_epoch + step, settings.epochs * per_epoch, settings)
            loss, micro_batch = _gradient(task, accelerator, targets, group, micro_batch, rng)
            _check_loss(loss, settings, epoch, step)
            if settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(task.model.parameters(), settings.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            size = sum(map(len, group))
            total, seen = total + loss * size, seen + size
            if time.monotonic() - spoken > SECONDS_BETWEEN_LINES:
                spoken = time.monotonic()
                where = (epoch + 1, settings.epochs, step + 1, per_epoch)
                logger.info("epoch %d/%d: step %d of %d, loss %.3f", *where, total / seen)
        yield epoch, total / seen


def _plan(task: Task, rows: np.ndarray, settings: Training, seed: int, epoch: int) -> list[np.ndarray]:
    return batches(rows, settings.batch_size, generator(seed, "order", epoch), task.lengths)


def _gradient(
    task: Task,
    accelerator: Accelerator,
    targets: torch.Tensor,
    group: list[np.ndarray],
    micro_batch: int,
    rng: np.random.Generator,
) -> tuple[float, int]:
    """Add up the gradient of the mean loss of a group of batches; halve the micro-batch where memory runs out."""
    rows = sum(map(len, group))
    while True:
        try:
            loss = 0.0
            for batch in group:
                pieces = math.ceil(len(batch) / micro_batch) if len(batch) > micro_batch + 1 else 1
                for part in np.array_split(batch, pieces):
                    with accelerator.autocast():
                        logits = task.model(**task.inputs(part, rng)).logits
                    wanted = targets[torch.from_numpy(part).to(targets.device)]
                    share = cross_entropy(logits.float(), wanted, reduction="sum") / rows
                    accelerator.backward(share)
                    loss += share.item()
            return loss, micro_batch
        except torch.cuda.OutOfMemoryError:
            micro_batch = _halved(micro_batch, task)


def _halved(size: int, task: Task) -> int:
    if size <= 1:
        raise DatassayError("CUDA out of memory with one example at a time: lower max_length or take a smaller model")
    task.model.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()
    logger.warning("CUDA out of memory: going on with %d examples at a time instead of %d", size // 2, size)
    return size // 2


def _check_loss(loss: float, settings: Training, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise DatassayError(
            f"model '{settings.name}': loss is {loss} in epoch {epoch + 1}, step {step + 1}: "
            f"lower learning_rate ({settings.learning_rate:g}), set clip_norm, or use precision: float32"
        )


class Outputs(NamedTuple):
    """What the model says of n rows: logits [n, C], norms [n] of the inputs of the head, and these [n, d]; float32."""

    logits: np.ndarray
    norms: np.ndarray
    features: np.ndarray | None


@torch.no_grad()
def predict(
    task: Task, accelerator: Accelerator, rows: np.ndarray, classes: int, settings: Training, features: bool = False
) -> Outputs:
    """Return what the model says in its present mode; the inputs of the head only where asked for."""
    logits, norms = np.empty((len(rows), classes), np.float32), np.empty(len(rows), np.float32)
    found = np.empty((len(rows), task.head.in_features), np.float32) if features else None
    place = np.empty(rows.max(initial=-1) + 1, np.int64)
    place[rows] = np.arange(len(rows))
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = task.head.register_forward_hook(lambda _, args, output: seen.append((args[0], output)))
    size = settings.eval_batch_size
    pending = by_length(rows, size, task.lengths)
    try:
        while pending:
            batch = pending[0]
            seen.clear()
            try:
                with accelerator.autocast():
                    out = task.model(**task.inputs(batch, None)).logits
            except torch.cuda.OutOfMemoryError:
                size = _halved(min(size, len(batch)), task)
                pending = [p for b in pending for p in np.array_split(b, math.ceil(len(b) / size))]
                continue
            logits[place[batch]] = out.float().cpu().numpy()
            hidden = _per_row(*seen[-1], out).float()
            norms[place[batch]] = torch.linalg.vector_norm(hidden, dim=1).cpu().numpy()
            if found is not None:
                found[place[batch]] = hidden.cpu().numpy()
            pending.pop(0)
    finally:
        hook.remove()
    return Outputs(logits, norms, found)


def _per_row(hidden: torch.Tensor, scored: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return one vector per row; of a head that sees every token (decoders) that of the token answered from."""
    if hidden.ndim == 2:
        return hidden
    distance = (scored - logits[:, None]).abs().amax(dim=2)
    return hidden[torch.arange(len(hidden), device=hidden.device), distance.argmin(dim=1)]
