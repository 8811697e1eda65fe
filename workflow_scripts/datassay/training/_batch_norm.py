"""Batch norm over the rows of all processes, on any device (`torch.nn.SyncBatchNorm` knows GPUs only)."""

from functools import partial
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise_batch_norm(model: Any) -> None:
    """Let every batch norm of a model take mean and variance over all processes while it trains.

    Every process has to make as many forward and backward passes as the others. Source: Ioffe & Szegedy, ICML 2015.
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.forward = partial(_normalised, module)  # type: ignore[method-assign]


class _Sum(torch.autograd.Function):
    """The sum over all processes; every one of them learns from it, so that its gradient is summed as well."""

    @staticmethod
    def forward(_context: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _Sum.forward(None, gradient)


def _sum_over_processes(values: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _Sum.apply(values)
    return total


def _normalised(norm: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    """Return x [n, C, ...] normalised per channel."""
    if not norm.training:
        return type(norm).forward(norm, x)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
    values = x.float()
    sums = _sum_over_processes(torch.cat([values.sum(axes), values.new_tensor([values.numel() / values.shape[1]])]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = values - mean.view(shape)
    variance = _sum_over_processes((centred**2).sum(axes)) / count
    _remember(norm, mean.detach(), variance.detach() * count / (count - 1))
    scaled = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        scaled = scaled * norm.weight.view(shape) + norm.bias.view(shape)
    return scaled.to(x.dtype)


@torch.no_grad()
def _remember(norm: _BatchNorm, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Move the running statistics towards those of this batch, as torch does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), share)
