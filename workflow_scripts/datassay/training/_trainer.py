"""The training loop of all recipes.

An epoch depends on the weights, the optimiser's state and (seed, epoch) alone: no random state has to be saved.
"""

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from datassay.config import Training
from datassay.encoders.backbones import resolve_precision
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.training._batch_norm import synchronise_batch_norm
from datassay.training._objective import Objective
from datassay.training._outputs import Outputs, answer, heard
from datassay.training._recipes import Build, Task
from datassay.training.batches import batches, by_length
from datassay.training.guidance import Guidance
from datassay.training.parallel import own_part, sum_gradients, sum_outputs

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10


def torch_seed(*key: object) -> int:
    """Return the seed of torch's stream for a purpose."""
    return int(generator(*key).integers(2**63))


@contextmanager
def reproducible() -> Iterator[None]:
    """Use deterministic kernels and leave torch's own random state as it was.

    On a GPU attention is computed by the plain kernel: the gradients of the fused ones differ from run to run.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    deterministic: Any = torch.utils.deterministic
    fill = deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False
    attention = sdpa_kernel(SDPBackend.MATH) if torch.cuda.is_available() else nullcontext()
    try:
        with torch.random.fork_rng(), attention:
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


@dataclass(frozen=True)
class Run:
    """A model in training, and all that the loop needs to know of it.

    seed: of initialisation, dropout and augmentation, order_seed: of the order of the data.
    """

    task: Task
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    objective: Objective
    settings: Training
    seed: int
    order_seed: int
    guidance: Guidance | None = None


def start(
    build: Build,
    accelerator: Accelerator,
    objective: Objective,
    settings: Training,
    seed: int,
    order_seed: int | None = None,
    guidance: Guidance | None = None,
) -> Run:
    """Return a freshly initialised model, ready to be trained.

    order_seed: None for the seed of all else. guidance: of all rows of the examples.
    """
    torch.manual_seed(torch_seed(seed, "initialisation"))
    task = build(accelerator.device)
    if accelerator.num_processes > 1:
        synchronise_batch_norm(task.model)
    optimizer, order_seed = make_optimizer(task.model, settings), seed if order_seed is None else order_seed
    return Run(task, optimizer, accelerator, objective, settings, seed, order_seed, guidance)


def epochs(
    run: Run, rows: np.ndarray, first: int = 0, kept: Outputs | None = None, steps: int | None = None
) -> Iterator[tuple[int, float]]:
    """Train epoch after epoch from `first` (0 = the first) on `rows`; yield (epoch, mean loss) after each one.

    kept: takes what the model said of every row when it learnt from it in that epoch. steps: how many in all, in the
    place of whole epochs of the settings; the last epoch may then be cut short.
    """
    task, settings = run.task, run.settings
    targets = run.objective.targets(run.accelerator.device)
    per_epoch = math.ceil(len(_plan(run, rows, 0)) / settings.accumulation)
    total_steps = settings.epochs * per_epoch if steps is None else steps
    micro_batch = settings.batch_size
    for epoch in range(first, math.ceil(total_steps / per_epoch)):
        own = (run.accelerator.process_index,) if run.accelerator.process_index else ()
        torch.manual_seed(torch_seed(run.seed, "dropout", epoch, *own))
        rng = generator(run.seed, "augmentation", epoch, *own)
        task.mode(training=True)
        order = _plan(run, rows, epoch)
        total, seen, spoken = 0.0, 0, time.monotonic()
        done = epoch * per_epoch
        for step in range(min(per_epoch, total_steps - done)):
            group = order[step * settings.accumulation : (step + 1) * settings.accumulation]
            if run.guidance is not None and run.guidance.preferred is not None:
                group = [_preferred(run, targets, batch, run.guidance) for batch in group]
            for options in run.optimizer.param_groups:
                options["lr"] = learning_rate(done + step, total_steps, settings)
            loss, micro_batch = _gradient(run, targets, group, micro_batch, rng, kept)
            loss = sum_gradients(list(task.model.parameters()), loss, run.accelerator)
            _check_loss(loss, settings, epoch, step)
            if settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(task.model.parameters(), settings.clip_norm)
            run.optimizer.step()
            run.optimizer.zero_grad(set_to_none=True)
            size = sum(map(len, group))
            total, seen = total + loss * size, seen + size
            if time.monotonic() - spoken > SECONDS_BETWEEN_LINES:
                spoken = time.monotonic()
                where = (epoch + 1, math.ceil(total_steps / per_epoch), step + 1, per_epoch)
                logger.info("epoch %d/%d: step %d of %d, loss %.3f", *where, total / seen)
        yield epoch, total / seen


def _plan(run: Run, rows: np.ndarray, epoch: int) -> list[np.ndarray]:
    """Return the batches of an epoch; where steps choose, as many, of several times as many candidates."""
    size, rng = run.settings.batch_size, generator(run.order_seed, "order", epoch)
    passes = run.guidance.candidates if run.guidance is not None else 1
    plans = [batches(rows, size, rng, run.task.lengths) for _ in range(passes)]
    return plans[0] if passes == 1 else [np.unique(np.concatenate(parts)) for parts in zip(*plans, strict=True)]


@torch.no_grad()
def _preferred(run: Run, targets: torch.Tensor, candidates: np.ndarray, guidance: Guidance) -> np.ndarray:
    """Return a batch of candidates: preferred rows of the highest loss, what the model says in evaluation mode."""
    assert guidance.preferred is not None
    count = min(len(candidates), run.settings.batch_size)
    run.task.mode(training=False)
    losses = []
    for part in by_length(candidates, run.settings.eval_batch_size, None):
        with run.accelerator.autocast():
            logits = answer(run.task, run.task.inputs(part, None), part)
        wanted = targets[torch.from_numpy(part).to(targets.device)]
        losses.append(cross_entropy(logits.float(), wanted, reduction="none").cpu().numpy())
    run.task.mode(training=True)
    order = np.lexsort((-np.concatenate(losses), ~guidance.preferred[candidates]))
    return candidates[order[:count]]


def _gradient(
    run: Run,
    targets: torch.Tensor,
    group: list[np.ndarray],
    micro_batch: int,
    rng: np.random.Generator,
    kept: Outputs | None,
) -> tuple[float, int]:
    """Add up the gradient of the mean loss of a group of batches; halve the micro-batch where memory runs out."""
    rows = sum(map(len, group))
    while True:
        try:
            loss = 0.0
            for batch in group:
                own, copies = own_part(batch, run.accelerator)
                pieces = math.ceil(len(batch) / micro_batch) if len(batch) > micro_batch + 1 else 1
                for part in np.array_split(own, min(pieces, len(own))):
                    logits = _learn_from(run, part, rng, kept)
                    share = _loss(run, targets, part, logits.float()) / (rows * copies)
                    run.accelerator.backward(share)
                    loss += share.item()
            return loss, micro_batch
        except torch.cuda.OutOfMemoryError:
            micro_batch = _halved(micro_batch, run.task)


def _loss(run: Run, targets: torch.Tensor, part: np.ndarray, logits: torch.Tensor) -> torch.Tensor:
    wanted, guidance = targets[torch.from_numpy(part).to(targets.device)], run.guidance
    if guidance is None or (guidance.weights is None and guidance.doubts is None):
        return run.objective.loss(logits, wanted)
    own = [
        None if array is None else torch.from_numpy(array[part].astype(np.float32)).to(logits.device)
        for array in (guidance.weights, guidance.doubts)
    ]
    return run.objective.guided_loss(logits, wanted, *own)


def _learn_from(run: Run, rows: np.ndarray, rng: np.random.Generator, kept: Outputs | None) -> torch.Tensor:
    inputs = run.task.inputs(rows, rng)
    with heard(run.task, run.objective) if kept is not None else nullcontext() as ear, run.accelerator.autocast():
        logits = answer(run.task, inputs, rows)
    if kept is not None and ear is not None:
        kept.put(rows, logits, ear.features(rows, inputs, logits))
    return logits


def _halved(size: int, task: Task) -> int:
    if torch.distributed.is_initialized():
        raise DatassayError("CUDA out of memory in one of several processes: lower batch_size, or raise accumulation")
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


@torch.no_grad()
def predict(run: Run, rows: np.ndarray, features: bool = False) -> Outputs:
    """Return what the model says of some rows in its present mode; with features what its last linear layer reads.

    Of several processes each asks about its part; all of them get all answers.
    """
    task = run.task
    found = Outputs(rows, run.objective, task.head.in_features if features else 0)
    size = run.settings.eval_batch_size
    pending = by_length(rows[run.accelerator.process_index :: run.accelerator.num_processes], size, task.lengths)
    with heard(task, run.objective) as ear:
        while pending:
            batch = pending[0]
            try:
                inputs = task.inputs(batch, None)
                with run.accelerator.autocast():
                    logits = answer(task, inputs, batch)
            except torch.cuda.OutOfMemoryError:
                size = _halved(min(size, len(batch)), task)
                pending = [p for b in pending for p in np.array_split(b, math.ceil(len(b) / size))]
                continue
            found.put(batch, logits, ear.features(batch, inputs, logits))
            pending.pop(0)
    sum_outputs(found, run.accelerator)
    return found
