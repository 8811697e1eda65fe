"""The networks of the head and cnn recipes, as transformers models: config, safetensors, from_pretrained."""

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class HeadConfig(PretrainedConfig):
    """width: input width; hidden: widths of the hidden layers; dropout: before every layer."""

    model_type = "datassay_head"

    def __init__(self, width: int = 1, hidden: tuple[int, ...] = (), dropout: float = 0.0, **kwargs: Any) -> None:
        self.width, self.hidden, self.dropout = width, list(hidden), dropout
        super().__init__(**kwargs)


class CnnConfig(PretrainedConfig):
    """channels: of the blocks; mean, std: of the train pixels in [0, 1] per colour; dropout: before the classifier."""

    model_type = "datassay_cnn"

    def __init__(
        self,
        channels: tuple[int, ...] = (8,),
        mean: tuple[float, ...] = (0.0, 0.0, 0.0),
        std: tuple[float, ...] = (1.0, 1.0, 1.0),
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.channels, self.mean, self.std, self.dropout = list(channels), list(mean), list(std), dropout
        super().__init__(**kwargs)


class _Classifier(PreTrainedModel):
    """Keeps torch's own initialisation of every layer."""

    def _init_weights(self, module: nn.Module) -> None:
        pass


class HeadClassifier(_Classifier):
    """Multi-layer perceptron on vectors [n, width]."""

    config_class = HeadConfig
    main_input_name = "vectors"

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        layers: list[nn.Module] = []
        for width, out in pairwise([config.width, *config.hidden]):
            layers += [nn.Dropout(config.dropout), nn.Linear(width, out), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Dropout(config.dropout))
        self.classifier = nn.Linear([config.width, *config.hidden][-1], config.num_labels)
        self.post_init()

    def forward(self, vectors: torch.Tensor) -> SequenceClassifierOutput:
        """Return logits [n, C]."""
        return SequenceClassifierOutput(logits=self.classifier(self.body(vectors)))


class CnnClassifier(_Classifier):
    """Convolutional network on images uint8 [n, height, width, 3]; every block but the first halves the size."""

    config_class = CnnConfig
    main_input_name = "images"

    def __init__(self, config: CnnConfig) -> None:
        super().__init__(config)
        blocks: list[nn.Module] = []
        for number, (width, out) in enumerate(pairwise([3, *config.channels])):
            conv = nn.Conv2d(width, out, 3, stride=2 if number else 1, padding=1, bias=False)
            blocks += [conv, nn.BatchNorm2d(out), nn.ReLU()]
        self.body = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.channels[-1], config.num_labels)
        self.post_init()

    def forward(self, images: torch.Tensor) -> SequenceClassifierOutput:
        """Return logits [n, C]."""
        mean, std = (torch.tensor(values, device=images.device) for values in (self.config.mean, self.config.std))
        pixels = (images.float() / 255 - mean) / std
        pooled = self.body(pixels.permute(0, 3, 1, 2)).mean(dim=(2, 3))
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))
