"""The networks of the head, cnn and resnet recipes, as transformers models: config, safetensors, from_pretrained."""

from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from datassay.training._networks import CnnNetwork, HeadNetwork, ResNetNetwork


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


class ResNetConfig(PretrainedConfig):
    """block: basic or bottleneck; widths, depths: of the stages; stem_stride: of the first convolution.

    mean, std: of the train pixels in [0, 1] per colour; dropout: before the classifier.
    """

    model_type = "datassay_resnet"

    def __init__(
        self,
        block: str = "basic",
        widths: tuple[int, ...] = (8,),
        depths: tuple[int, ...] = (1,),
        stem_stride: int = 1,
        mean: tuple[float, ...] = (0.0, 0.0, 0.0),
        std: tuple[float, ...] = (1.0, 1.0, 1.0),
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.block, self.widths, self.depths, self.stem_stride = block, list(widths), list(depths), stem_stride
        self.mean, self.std, self.dropout = list(mean), list(std), dropout
        super().__init__(**kwargs)


class _Classifier(PreTrainedModel):
    """Holds a network; torch's own initialisation of every layer is kept."""

    network: nn.Module

    def _init_weights(self, module: nn.Module) -> None:
        pass

    def forward(self, **inputs: torch.Tensor) -> SequenceClassifierOutput:
        """Return logits [n, C]."""
        return SequenceClassifierOutput(logits=self.network(**inputs).logits)


class HeadClassifier(_Classifier):
    """Multi-layer perceptron on vectors [n, width]."""

    config_class = HeadConfig
    main_input_name = "vectors"

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.network = HeadNetwork(config.width, config.hidden, config.dropout, int(config.num_labels or 0))
        self.post_init()


class CnnClassifier(_Classifier):
    """Convolutional network on images uint8 [n, height, width, 3]."""

    config_class = CnnConfig
    main_input_name = "images"

    def __init__(self, config: CnnConfig) -> None:
        super().__init__(config)
        self.network = CnnNetwork(config.channels, config.mean, config.std, config.dropout, int(config.num_labels or 0))
        self.post_init()


class ResNetClassifier(_Classifier):
    """Residual network on images uint8 [n, height, width, 3]."""

    config_class = ResNetConfig
    main_input_name = "images"

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__(config)
        shape = (config.block, config.widths, config.depths, config.stem_stride, config.mean, config.std)
        self.network = ResNetNetwork(*shape, config.dropout, int(config.num_labels or 0))
        self.post_init()


def wrapped(classifier: type[_Classifier], config: PretrainedConfig, network: nn.Module) -> _Classifier:
    """Return a transformers model around a trained network."""
    model = classifier(config)
    model.network.load_state_dict(network.state_dict())
    return model
