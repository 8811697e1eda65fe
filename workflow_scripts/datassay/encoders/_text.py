"""Text encoder: a sentence-transformers model, fed by our own length-sorted batches."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from datassay.config import Encoder
from datassay.encoders.backbones import OWN_CODE_ONLY, loading, model_source, resolve_precision
from datassay.encoders.texts import whole_texts

if TYPE_CHECKING:
    import pandas as pd

    from datassay.encoders import Encode


def text_encoder(examples: "pd.DataFrame", settings: Encoder) -> "Encode":
    """Return rows -> float32 [n, d]: one vector of each example as a whole.

    Pairs (text, text_b) go through the tokenizer's own pair encoding; options follow the second text, " / " between
    them, so that the vector of a multiple choice is that of the question with all of its answers.
    """
    with loading(settings.model):
        model = SentenceTransformer(
            model_source(settings.model),
            revision=settings.revision,
            device="cuda" if torch.cuda.is_available() else "cpu",
            **OWN_CODE_ONLY,
        )
    model.eval()
    if resolve_precision(settings.precision) == "bf16":
        model.bfloat16()
    length = min(settings.max_length, model.max_seq_length or settings.max_length)
    texts, pairs = whole_texts(examples)

    def encode(rows: np.ndarray) -> np.ndarray:
        tokens = model.tokenizer(
            list(texts[rows]), list(pairs[rows]) if pairs is not None else None, truncation=True, max_length=length
        )
        lengths = np.array([len(ids) for ids in tokens["input_ids"]])
        order = np.argsort(-lengths, kind="stable")
        vectors = None
        for start in range(0, len(order), settings.batch_size):
            batch = order[start : start + settings.batch_size]
            found = _forward(model, {key: [values[i] for i in batch] for key, values in tokens.items()})
            if vectors is None:
                vectors = np.empty((len(rows), found.shape[1]), np.float32)
            vectors[batch] = found
        assert vectors is not None
        return vectors

    return encode


def _forward(model: SentenceTransformer, tokens: dict[str, list[list[int]]]) -> np.ndarray:
    batch: Any = model.tokenizer.pad(tokens, return_tensors="pt")
    with torch.inference_mode():
        out = model({key: value.to(model.device) for key, value in batch.items()})
    return out["sentence_embedding"].float().cpu().numpy()
