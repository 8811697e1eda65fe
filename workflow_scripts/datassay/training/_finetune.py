"""Recipe finetune: a sequence classifier of transformers, whatever the task.

Classes: one logit each. Regression: one, of the standardised label. Multiple choice: one that scores an option; the
options of a row are scored one by one and compared. So one class of transformers serves every backbone.
"""

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from datassay.config import Finetune
from datassay.encoders.backbones import OWN_CODE_ONLY, loading, model_source
from datassay.errors import DatassayError
from datassay.training._frozen import Lower, find_parts, freeze
from datassay.training._objective import Objective
from datassay.training._recipes import Build, Inputs, Task, last_linear
from datassay.training._tokens import encode

if TYPE_CHECKING:
    import pandas as pd


def finetune(examples: "pd.DataFrame", objective: Objective, settings: Finetune) -> Build:
    """Tokenise once; return what builds a fresh classifier with its frozen parts."""
    if "text" not in examples.columns:
        raise DatassayError(f"model '{settings.name}': the finetune recipe needs a column 'text', there is none")
    source = model_source(settings.backbone)
    with loading(settings.backbone):
        tokenizer = AutoTokenizer.from_pretrained(source, revision=settings.revision, **OWN_CODE_ONLY)
        config = AutoConfig.from_pretrained(source, revision=settings.revision, **OWN_CODE_ONLY)
    _configure(config, tokenizer, objective, settings)
    encoded = encode(examples, objective.task, tokenizer, config, settings)
    lower = Lower(encoded)

    def build(device: torch.device) -> Task:
        with loading(settings.backbone):
            model = AutoModelForSequenceClassification.from_pretrained(
                source, config=config, revision=settings.revision, dtype=torch.float32, **OWN_CODE_ONLY
            ).to(device)
        parts = find_parts(model) if settings.freeze_embeddings or settings.freeze_layers else None
        frozen = freeze(parts, settings) if parts else []
        taken = inspect.signature(model.forward).parameters

        def feed(sequences: np.ndarray) -> Inputs:
            return {name: value for name, value in encoded.batch(sequences, device).items() if name in taken}

        def inputs(rows: np.ndarray, _: np.random.Generator | None) -> Inputs:
            return feed(encoded.sequences(rows))

        head = last_linear(model)
        task = Task(model, inputs, head, frozen, encoded.lengths, portable=lambda: [model.cpu(), tokenizer])
        if parts and settings.freeze_embeddings and settings.freeze_layers:
            lower.take_over(task, parts, settings, feed)
        return task

    return build


def _configure(config: Any, tokenizer: Any, objective: Objective, settings: Finetune) -> None:
    """Make config and tokenizer agree on padding, and hand the config the outputs and the dropout."""
    config.update(objective.names)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    config.pad_token_id = tokenizer.pad_token_id
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = tokenizer.pad_token_id
    if settings.dropout is not None:
        for key, value in config.to_dict().items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and "drop" in key and "layerdrop" not in key:
                setattr(config, key, settings.dropout)
