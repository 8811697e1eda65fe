"""One vector per text from a transformer, pooled the way its type wants it."""

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)
from transformers.utils import cached_file

from datassay.config import Finetune
from datassay.encoders.backbones import OWN_CODE_ONLY, loading, model_source
from datassay.errors import DatassayError
from datassay.training._tokens import encode
from datassay.training.batches import by_length

if TYPE_CHECKING:
    import pandas as pd

WITH_POOLER = ("bert", "albert")  # pretrained with a pooler; that of others starts at random


def pooling_of(model: str, revision: str | None = None) -> str:
    """Return how a model's tokens become one vector: pooler, first, mean or last.

    mean (or what its own pooling module says) for models of sentence-transformers, pooler for BERT and ALBERT, last
    token for decoders, mean of the encoder for encoder-decoders, first token for all others (RoBERTa, DistilBERT, ...).
    """
    source = model_source(model)
    with loading(model):
        config = AutoConfig.from_pretrained(source, revision=revision, **OWN_CODE_ONLY)
        own = _own_pooling(source, revision)
    if own:
        return own
    if config.is_encoder_decoder:
        return "mean"
    kind = config.model_type
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "last"
    return "pooler" if kind in WITH_POOLER else "first"


def _own_pooling(source: str, revision: str | None) -> str | None:
    """Return the pooling of a sentence-transformers model, None for any other."""
    quiet: dict[str, Any] = {
        "revision": revision,
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_connection_errors": False,
    }
    if not cached_file(source, "modules.json", **quiet):
        return None
    found = cached_file(source, "1_Pooling/config.json", **quiet)
    modes = json.loads(Path(found).read_text(encoding="utf-8")) if found else {}
    names = {"pooling_mode_cls_token": "first", "pooling_mode_lasttoken": "last"}
    return next((name for key, name in names.items() if modes.get(key)), "mean")


class TextModel:
    """A transformer in float32 and eval mode that reads the examples; with `head` also its classifier.

    settings: names the tokens per text and the texts per pass. folder: the model, with its tokenizer. Raises
    DatassayError where a model that is to be a classifier was saved without its head.
    """

    def __init__(
        self, examples: "pd.DataFrame", folder: str, settings: Finetune, pooling: str, head: bool = False
    ) -> None:
        source = model_source(folder)
        revision = settings.revision if folder == settings.backbone else None
        with loading(folder):
            tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, **OWN_CODE_ONLY)
            kind: Any = AutoModelForSequenceClassification if head else AutoModel
            self.model, report = kind.from_pretrained(
                source, revision=revision, dtype=torch.float32, output_loading_info=True, **OWN_CODE_ONLY
            )
        if head and (missing := sorted(report["missing_keys"])):
            raise DatassayError(f"model '{folder}': it has no trained {missing[0]}, so that it is no classifier")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.to(self.device).eval()
        self.pooling, self.size = pooling, settings.eval_batch_size
        self.encoded = encode(examples, "classification", tokenizer, self.model.config, settings)
        self._heard: Any = None
        self.body = self.model.base_model if head else self.model
        if self.model.config.is_encoder_decoder:
            self.body = self.body.get_encoder()
        self.taken = inspect.signature((self.model if head else self.body).forward).parameters
        if head:
            self.body.register_forward_hook(self._hear)

    def _hear(self, _module: Any, _inputs: Any, output: Any) -> None:
        self._heard = output

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the pooled vectors float32 [n, d] of some rows."""
        return self._run(rows, logits=False)[0]

    def with_logits(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pooled vectors [n, d] and the classifier's logits [n, C] of some rows, float32; needs `head`."""
        return self._run(rows, logits=True)

    def logits(self, rows: np.ndarray) -> torch.Tensor:
        """Return the classifier's logits [n, C] of some rows, all in one pass, with their gradient; needs `head`."""
        return self.model(**self._inputs(rows)).logits

    def _inputs(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        return {name: value for name, value in self.encoded.batch(rows, self.device).items() if name in self.taken}

    @torch.inference_mode()
    def _run(self, rows: np.ndarray, logits: bool) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(rows)
        found: Any = None
        said: Any = None
        for batch in by_length(rows, self.size, self.encoded.lengths):
            inputs = self._inputs(batch)
            output = self.model(**inputs) if logits else None
            vectors = pooled(self._heard if logits else self.body(**inputs), inputs["attention_mask"], self.pooling)
            place = order[np.searchsorted(rows, batch, sorter=order)]
            if found is None:
                found = np.empty((len(rows), vectors.shape[1]), np.float32)
                said = np.empty((len(rows), output.logits.shape[1] if output else 0), np.float32)
            found[place] = vectors.float().cpu().numpy()
            if output:
                said[place] = output.logits.float().cpu().numpy()
        return found, said


def pooled(output: Any, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return one vector per text [n, d] of a model's output; mask [n, T] is 1 where a token is no padding."""
    if pooling == "pooler":
        return output.pooler_output
    hidden = output.last_hidden_state
    if pooling == "first":
        return hidden[:, 0]
    if pooling == "last":
        last = (torch.arange(mask.shape[1], device=mask.device) * mask).argmax(dim=1)
        return hidden[torch.arange(len(hidden), device=hidden.device), last]
    weights = mask[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
