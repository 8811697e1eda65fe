"""Embedding space maps by gradient descent, as the paper fits them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from datassay.randomness import generator
from datassay.training._trainer import reproducible, torch_seed

Layers = tuple[tuple[np.ndarray, np.ndarray], ...]


def descend(
    x: np.ndarray,
    y: np.ndarray,
    hidden: Sequence[int],
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
) -> Layers:
    """Return layers fitted to y [N, D'] by AdamW on the squared error: linear decay, gradient norm at most 1."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    source, wanted = (torch.from_numpy(array.astype(np.float32)).to(device) for array in (x, y))
    widths = [x.shape[1], *hidden, y.shape[1]]
    steps = epochs * -(-len(x) // batch_size)
    with reproducible():
        torch.manual_seed(torch_seed(seed, "esm"))
        linear = [nn.Linear(a, b) for a, b in pairwise(widths)]
        network = nn.Sequential(*[part for layer in linear for part in (nn.ReLU(), layer)][1:]).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)
        decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        for epoch in range(epochs):
            order = torch.from_numpy(generator(seed, "esm order", epoch).permutation(len(x))).to(device)
            for rows in order.split(batch_size):
                loss = nn.functional.mse_loss(network(source[rows]), wanted[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                decay.step()
    return tuple((layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy()) for layer in linear)
