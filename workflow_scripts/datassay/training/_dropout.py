"""Passes of a trained model with dropout left on."""

import logging
import time

import numpy as np
import torch
from torch import nn

from datassay.checkpoints import Checkpoints, unit_done
from datassay.training._trainer import SECONDS_BETWEEN_LINES, Run, predict, torch_seed
from datassay.training.parallel import all_agree, is_first, stop_agreed

logger = logging.getLogger(__name__)


def dropout_logits(
    run: Run, rows: np.ndarray, features: np.ndarray, checkpoints: Checkpoints | None = None
) -> np.ndarray:
    """Return logits [M, n, C] of some rows with dropout on and batch statistics fixed; M = 0 where there is no dropout.

    features: [n, d] of the rows, what the last layer reads. checkpoints: keep the logits of every pass.
    """
    task, settings = run.task, run.settings
    task.mode(training=True)
    for module in task.model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    passes = settings.mc_passes if _has_dropout(task.model) else 0
    if passes < settings.mc_passes:
        logger.info("the network has no dropout: no dropout passes")
    out = np.empty((passes, len(rows), run.objective.outputs), np.float32)
    started = time.monotonic()
    for number in range(passes):
        name = f"dropout{number:05d}"
        arrays = checkpoints.load(name) if checkpoints is not None else None
        if not all_agree(arrays is not None, run.accelerator) or arrays is None:
            torch.manual_seed(torch_seed(run.seed, "dropout pass", number))
            arrays = {"logits": predict(run, rows).logits if task.top is None else _top_pass(run, features)}
            if checkpoints is not None:
                if is_first():
                    checkpoints.save(name, arrays)
                unit_done("dropout_pass", stop_agreed(run.accelerator))
        out[number] = arrays["logits"]
        if time.monotonic() - started > SECONDS_BETWEEN_LINES or (checkpoints is not None and number == passes - 1):
            logger.info("dropout pass %d of %d", number + 1, passes)
            started = time.monotonic()
    return out


def _top_pass(run: Run, features: np.ndarray) -> np.ndarray:
    """Return logits [n, C] with dropout on of a network that is the same below its last layer in every pass."""
    assert run.task.top is not None
    parts = torch.from_numpy(features).to(run.accelerator.device).split(run.settings.eval_batch_size)
    with torch.no_grad(), run.accelerator.autocast():
        logits = torch.cat([run.task.top(part).float() for part in parts])
    return logits.cpu().numpy() * run.objective.std + run.objective.mean


def _has_dropout(model: nn.Module) -> bool:
    """Whether a layer drops something now: one of its own, or a share that it hands to a function of attention."""
    for module in model.modules():
        shares = [module.p] if isinstance(module, nn.modules.dropout._DropoutNd) else []
        shares += [v for name, v in vars(module).items() if "dropout" in name and isinstance(v, float)]
        if module.training and any(share > 0 for share in shares):
            return True
    return False
