"""The networks of the head and cnn recipes: plain torch, as importing transformers takes longer than a retraining."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn


class Output(NamedTuple):
    """What a network returns, named as transformers names it."""

    logits: torch.Tensor


class HeadNetwork(nn.Module):
    """Multi-layer perceptron on vectors [n, width]; dropout before every layer."""

    def __init__(self, width: int, hidden: Sequence[int], dropout: float, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size, out in pairwise([width, *hidden]):
            layers += [nn.Dropout(dropout), nn.Linear(size, out), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Dropout(dropout))
        self.classifier = nn.Linear([width, *hidden][-1], classes)

    def forward(self, vectors: torch.Tensor) -> Output:
        """Return logits [n, C]."""
        return Output(self.classifier(self.body(vectors)))


class CnnNetwork(nn.Module):
    """Convolutional network on images uint8 [n, height, width, 3]; every block but the first halves the size.

    mean, std: of the train pixels in [0, 1] per colour.
    """

    def __init__(
        self, channels: Sequence[int], mean: Sequence[float], std: Sequence[float], dropout: float, classes: int
    ) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)
        blocks: list[nn.Module] = []
        for number, (size, out) in enumerate(pairwise([3, *channels])):
            conv = nn.Conv2d(size, out, 3, stride=2 if number else 1, padding=1, bias=False)
            blocks += [conv, nn.BatchNorm2d(out), nn.ReLU()]
        self.body = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[-1], classes)

    def forward(self, images: torch.Tensor) -> Output:
        """Return logits [n, C]."""
        mean, std = (torch.tensor(values, device=images.device) for values in (self.mean, self.std))
        pixels = (images.float() / 255 - mean) / std
        pooled = self.body(pixels.permute(0, 3, 1, 2)).mean(dim=(2, 3))
        return Output(self.classifier(self.dropout(pooled)))
