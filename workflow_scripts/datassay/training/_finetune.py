"""Recipe finetune: a sequence classifier of transformers, its frozen lower part run only once."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from datassay.config import Finetune
from datassay.encoders.backbones import loading, model_source
from datassay.errors import DatassayError
from datassay.training._recipes import Build, Inputs, Task
from datassay.training.batches import Ragged, by_length

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

CACHE_BYTES = 1 << 30  # hidden states kept in memory at most
CHECKED_ROWS = 16
TOLERANCE = 1e-4  # of the largest logit, between the cached and the plain path


def finetune(examples: "pd.DataFrame", names: dict[str, Any], settings: Finetune) -> Build:
    """Tokenise once; return what builds a fresh classifier with its frozen parts."""
    if "text" not in examples.columns:
        raise DatassayError(f"model '{settings.name}': the finetune recipe needs a column 'text', there is none")
    source = model_source(settings.backbone)
    with loading(settings.backbone):
        tokenizer = AutoTokenizer.from_pretrained(source, revision=settings.revision)
        config = AutoConfig.from_pretrained(source, revision=settings.revision, **names)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    config.pad_token_id = tokenizer.pad_token_id
    if settings.dropout is not None:
        _set_dropout(config, settings.dropout)
    tokens = _tokenise(examples, tokenizer, settings)
    lower = _Lower(tokens)

    def build(device: torch.device) -> Task:
        with loading(settings.backbone):
            model = AutoModelForSequenceClassification.from_pretrained(
                source, config=config, revision=settings.revision, dtype=torch.float32
            ).to(device)
        parts = find_parts(model) if settings.freeze_embeddings or settings.freeze_layers else None
        frozen = freeze(parts, settings) if parts else []

        def inputs(rows: np.ndarray, _: np.random.Generator | None) -> Inputs:
            return _token_batch(tokens, rows, tokenizer.pad_token_id, device)

        lengths = tokens["input_ids"].lengths
        task = Task(model, inputs, _last_linear(model), frozen, lengths, portable=lambda: [model.cpu(), tokenizer])
        if parts and settings.freeze_embeddings and settings.freeze_layers:
            lower.take_over(task, parts, settings, device)
        return task

    return build


def _set_dropout(config: Any, dropout: float) -> None:
    for key, value in config.to_dict().items():
        if "drop" in key and "layerdrop" not in key and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, key, dropout)


def _tokenise(examples: "pd.DataFrame", tokenizer: Any, settings: Finetune) -> dict[str, Ragged]:
    texts = [examples[name].fillna("").astype(str).tolist() for name in ("text", "text_b") if name in examples]
    length = min(settings.max_length, tokenizer.model_max_length)
    found = tokenizer(*texts, truncation=True, max_length=length, return_attention_mask=False)
    if any(len(ids) == 0 for ids in found["input_ids"]):  # a decoder's tokenizer adds no special tokens
        found["input_ids"] = [ids or [tokenizer.pad_token_id] for ids in found["input_ids"]]
    return {key: Ragged(found[key]) for key in ("input_ids", "token_type_ids") if key in found}


def _token_batch(tokens: dict[str, Ragged], rows: np.ndarray, pad: int, device: torch.device) -> Inputs:
    mask = tokens["input_ids"].index(rows)[1]
    arrays = {key: ragged.padded(rows, pad if key == "input_ids" else 0) for key, ragged in tokens.items()}
    arrays["attention_mask"] = mask.astype(np.int64)
    return {key: torch.from_numpy(array).to(device) for key, array in arrays.items()}


def _last_linear(model: Any) -> nn.Linear:
    layers = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == model.config.num_labels]
    if not layers:
        raise DatassayError(
            f"model type '{model.config.model_type}': no linear layer of {model.config.num_labels} logits"
        )
    return layers[-1]


@dataclass(frozen=True)
class Parts:
    """Where a backbone keeps its embeddings and its list of layers (owner module and attribute)."""

    model_type: str
    base: nn.Module
    embeddings: nn.Module
    layers_owner: nn.Module
    layers_name: str

    @property
    def layers(self) -> nn.ModuleList:
        """The layers, lowest first."""
        return getattr(self.layers_owner, self.layers_name)


def find_parts(model: Any) -> Parts:
    """Find the embeddings and the layers of a transformers model; DatassayError names its type where that fails."""
    base, kind = model.base_model, model.config.model_type
    lists = [
        name
        for name, module in base.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == getattr(model.config, "num_hidden_layers", -1)
    ]
    if not lists:
        raise DatassayError(
            f"model type '{kind}': its layers were not found, set freeze_embeddings and freeze_layers off"
        )
    owner, _, name = lists[0].rpartition(".")
    embeddings = getattr(base, "embeddings", None) or base.get_input_embeddings()
    return Parts(kind, base, embeddings, base.get_submodule(owner), name)


def freeze(parts: Parts, settings: Finetune) -> list[nn.Module]:
    """Take embeddings and lower layers out of the training; return them: they are to stay in eval mode."""
    if settings.freeze_layers > len(parts.layers):
        raise DatassayError(
            f"model '{settings.name}': freeze_layers is {settings.freeze_layers}, the backbone has {len(parts.layers)}"
        )
    frozen: list[nn.Module] = [*parts.layers[: settings.freeze_layers]]
    if settings.freeze_embeddings:
        frozen.append(parts.embeddings)
    for module in frozen:
        module.requires_grad_(False)
    return frozen


class _Reached(Exception):
    """Carries hidden states out of a forward pass that need not go on."""

    def __init__(self, hidden: torch.Tensor) -> None:
        self.hidden = hidden


class _GivenStates(nn.Module):
    """Stands where the embeddings were: returns the hidden states that came in as inputs_embeds."""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return next(a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor) and a.ndim == 3)


class _Lower:
    """Hidden states of all rows at the top of the frozen part: float32 [tokens, width], computed once.

    Frozen layers are in eval mode with fixed weights, so that what they give is the same in every epoch, dropout pass
    and seed. A model whose remaining part cannot be fed with hidden states is trained on the plain path.
    """

    def __init__(self, tokens: dict[str, Ragged]) -> None:
        self.ragged = tokens["input_ids"]
        self.states: torch.Tensor | None = None
        self.usable = True

    def take_over(self, task: Task, parts: Parts, settings: Finetune, device: torch.device) -> None:
        """Make the task run the upper part on cached hidden states, if they fit and give the same logits."""
        needed = 4 * len(self.ragged.flat) * task.model.config.hidden_size
        if needed > CACHE_BYTES:
            logger.info("hidden states of the frozen layers would take %d MB, they are recomputed", needed >> 20)
            return
        if not self.usable or not isinstance(getattr(parts.base, "embeddings", None), nn.Module):
            return
        rows = np.argsort(-self.ragged.lengths, kind="stable")
        sample = rows[np.linspace(0, len(rows) - 1, min(CHECKED_ROWS, len(rows))).astype(int)]
        task.mode(training=False)
        plain = _logits(task, sample)
        if self.states is None:
            self.states = self._compute(task, parts, settings, rows, device)
        plain_inputs, undo = task.inputs, _cut(parts, settings.freeze_layers)
        task.inputs = lambda chosen, _: self._batch(chosen)
        try:
            difference = float((_logits(task, sample) - plain).abs().max() / plain.abs().max().clamp(min=1.0))
        except (TypeError, ValueError, RuntimeError, AttributeError, StopIteration) as error:
            logger.info("%s: frozen layers cannot be run apart (%s)", parts.model_type, error)
            difference = np.inf
        if difference <= TOLERANCE:
            task.restore = undo
            logger.info("%d frozen layers ran once, %d MB of hidden states kept", settings.freeze_layers, needed >> 20)
            return
        undo()
        task.inputs, self.usable, self.states = plain_inputs, False, None
        logger.info("%s: frozen layers run again in every pass", parts.model_type)

    def _compute(
        self, task: Task, parts: Parts, settings: Finetune, rows: np.ndarray, device: torch.device
    ) -> torch.Tensor:
        def stop(_module: nn.Module, _args: Any, output: Any) -> None:
            raise _Reached(output[0] if isinstance(output, tuple) else output)

        states = torch.empty(len(self.ragged.flat), task.model.config.hidden_size, device=device)
        hook = parts.layers[settings.freeze_layers - 1].register_forward_hook(stop)
        try:
            with torch.no_grad():
                for batch in by_length(rows, settings.eval_batch_size, self.ragged.lengths):
                    index, mask = self.ragged.index(batch)
                    try:
                        task.model(**task.inputs(batch, None))
                    except _Reached as reached:
                        real = torch.from_numpy(mask).to(device)
                        states[torch.from_numpy(index[mask]).to(device)] = reached.hidden[real].float()
        finally:
            hook.remove()
        return states

    def _batch(self, rows: np.ndarray) -> Inputs:
        assert self.states is not None
        index, mask = (torch.from_numpy(array).to(self.states.device) for array in self.ragged.index(rows))
        return {"inputs_embeds": self.states[index], "attention_mask": mask.long()}


def _cut(parts: Parts, count: int) -> Callable[[], None]:
    """Take embeddings and the lowest layers out of the model; return what puts them back."""
    embeddings, layers = parts.embeddings, parts.layers

    def undo() -> None:
        parts.base.embeddings = embeddings
        setattr(parts.layers_owner, parts.layers_name, layers)

    parts.base.embeddings = _GivenStates()
    setattr(parts.layers_owner, parts.layers_name, nn.ModuleList(layers[count:]))
    return undo


def _logits(task: Task, rows: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return task.model(**task.inputs(rows, None)).logits.float()
