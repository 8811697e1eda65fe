"""The networks of the head, cnn and resnet recipes: plain torch, because transformers takes longer to import."""

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


class _ImageNetwork(nn.Module):
    """A body on standardised images, the mean over its last map, dropout and a linear layer.

    mean, std: of the train pixels in [0, 1] per colour. Images come as uint8 [n, height, width, 3].
    """

    def __init__(
        self, body: nn.Module, width: int, mean: Sequence[float], std: Sequence[float], dropout: float, classes: int
    ) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> Output:
        """Return logits [n, C]."""
        mean, std = (torch.tensor(values, device=images.device) for values in (self.mean, self.std))
        pixels = (images.float() / 255 - mean) / std
        pooled = self.body(pixels.permute(0, 3, 1, 2)).mean(dim=(2, 3))
        return Output(self.classifier(self.dropout(pooled)))


class CnnNetwork(_ImageNetwork):
    """Plain convolutions; every block but the first halves the size."""

    def __init__(
        self, channels: Sequence[int], mean: Sequence[float], std: Sequence[float], dropout: float, classes: int
    ) -> None:
        blocks: list[nn.Module] = []
        for number, (size, out) in enumerate(pairwise([3, *channels])):
            conv = nn.Conv2d(size, out, 3, stride=2 if number else 1, padding=1, bias=False)
            blocks += [conv, nn.BatchNorm2d(out), nn.ReLU()]
        super().__init__(nn.Sequential(*blocks), channels[-1], mean, std, dropout, classes)


class ResNetNetwork(_ImageNetwork):
    """Residual network for small images (He et al., CVPR 2016): no pooling before the blocks.

    widths, depths: of the stages, every stage but the first halves the size; the first convolution has the first
    width. Widths 16, 32, 64 with 3 basic blocks each and stem_stride 1 are the paper's ResNet-20, widths 64, 128, 256,
    512 with 3, 4, 6, 3 bottleneck blocks its ResNet-50.
    """

    def __init__(
        self,
        block: str,
        widths: Sequence[int],
        depths: Sequence[int],
        stem_stride: int,
        mean: Sequence[float],
        std: Sequence[float],
        dropout: float,
        classes: int,
    ) -> None:
        size = widths[0]
        stem = nn.Conv2d(3, size, 3, stride=stem_stride, padding=1, bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(size), nn.ReLU()]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for number in range(depth):
                residual = _Residual(block, size, width, stride=2 if stage and not number else 1)
                layers.append(residual)
                size = residual.width
        super().__init__(nn.Sequential(*layers), size, mean, std, dropout, classes)


class _Residual(nn.Module):
    """Convolutions whose result is added to what came in; they start at zero, so that a deep network starts shallow."""

    def __init__(self, block: str, size: int, width: int, stride: int) -> None:
        super().__init__()
        if block == "bottleneck":
            self.width = 4 * width
            shapes = [(size, width, 1, 1), (width, width, 3, stride), (width, self.width, 1, 1)]
        else:
            self.width = width
            shapes = [(size, width, 3, stride), (width, width, 3, 1)]
        layers: list[nn.Module] = []
        for i, o, kernel, step in shapes:
            conv = nn.Conv2d(i, o, kernel, stride=step, padding=kernel // 2, bias=False)
            norm = nn.BatchNorm2d(o)
            layers += [conv, norm, nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers[:-1])
        nn.init.zeros_(norm.weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or size != self.width:
            conv = nn.Conv2d(size, self.width, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(self.width))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.body(x) + self.shortcut(x))
