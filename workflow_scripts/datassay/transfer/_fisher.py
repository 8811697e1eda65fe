"""Task embeddings: how much the weights of a model matter for a task, as the diagonal of the Fisher information.

Vu et al., Exploring and Predicting Transferability across NLP Tasks, EMNLP 2020 (TaskEmb); Achille et al., ICCV 2019.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from datassay.config import Finetune
from datassay.transfer._pooled import TextModel

if TYPE_CHECKING:
    import pandas as pd


def task_embedding(examples: "pd.DataFrame", model_folder: str, settings: Finetune, task: str) -> dict[str, np.ndarray]:
    """Return name -> mean squared gradient of the log-likelihood of the labels, for the weights of the model's layers.

    examples: text and label. The model is in eval mode; embeddings and classifier are left out, since vocabularies and
    classes differ. A regression's likelihood is Gaussian, of unit variance on the standardised scale it was trained on.
    Time O(n) passes of one example forwards and backwards, memory that of two models.
    """
    reader = TextModel(examples, model_folder, settings, "first", head=True)
    weights = _layer_weights(reader.body)
    reader.model.requires_grad_(False)
    for parameter in weights.values():
        parameter.requires_grad_(True)
    squares = {name: torch.zeros_like(parameter) for name, parameter in weights.items()}
    for row, label in enumerate(examples["label"].tolist()):
        logits = reader.logits(np.array([row]))[0]
        if task == "regression":
            scale = reader.model.config
            likelihood = -0.5 * (logits[0] - (label - scale.label_mean) / scale.label_std) ** 2
        else:
            likelihood = logits.log_softmax(0)[int(label)]
        gradients = torch.autograd.grad(likelihood, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            squares[name] += 0 if gradient is None else gradient**2
    return {name: (square / len(examples)).cpu().numpy() for name, square in squares.items()}


def _layer_weights(body: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of a transformer without those of its embeddings."""
    embedded = {id(p) for m in body.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    named = body.named_parameters()
    return {name: p for name, p in named if id(p) not in embedded and "embeddings." not in f"{name}."}
