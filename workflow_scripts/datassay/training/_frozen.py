"""The frozen lower part of a backbone: found, frozen, and run only once."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from datassay.config import Finetune, FinetuneImage
from datassay.errors import DatassayError
from datassay.training._outputs import answer
from datassay.training._recipes import Inputs, Task
from datassay.training._tokens import Encoded
from datassay.training.batches import by_length

logger = logging.getLogger(__name__)

CACHE_BYTES = 1 << 30  # hidden states kept in memory at most
CHECKED_ROWS = 16
TOLERANCE = 1e-4  # of the largest logit, between the cached and the plain path


@dataclass(frozen=True)
class Parts:
    """Where a backbone keeps its embeddings and its lists of layers (owner module and attribute).

    An encoder-decoder has two lists; its layers count from the lowest of the encoder to the highest of the decoder.
    """

    model_type: str
    base: nn.Module
    embeddings: tuple[nn.Module, ...]
    lists: tuple[tuple[nn.Module, str], ...]

    @property
    def layers(self) -> list[nn.Module]:
        """The layers, lowest first."""
        return [layer for owner, name in self.lists for layer in getattr(owner, name)]


def find_parts(model: Any) -> Parts:
    """Find the embeddings and the layers of a transformers model: of a convolutional one its stem and stages."""
    base, config = model.base_model, model.config
    counts = {"": getattr(config, "num_hidden_layers", None) or len(getattr(config, "depths", ())) or -1}
    if config.is_encoder_decoder:
        decoder = getattr(config, "num_decoder_layers", None) or getattr(config, "decoder_layers", None)
        counts = {"encoder": counts[""], "decoder": decoder or counts[""]}
    lists = [_list_of(base.get_submodule(place), count) for place, count in counts.items()]
    return Parts(config.model_type, base, _embeddings(base), tuple(found for found in lists if found))


def _list_of(module: nn.Module, count: int) -> tuple[nn.Module, str] | None:
    for name, part in module.named_modules():
        if isinstance(part, nn.ModuleList) and len(part) == count:
            owner, _, attribute = name.rpartition(".")
            return module.get_submodule(owner), attribute
    return None


def _embeddings(base: Any) -> tuple[nn.Module, ...]:
    """Return the modules that embed tokens and places, relative ones that all layers share (DeBERTa) included."""
    own = getattr(base, "embeddings", None) or getattr(base, "embedder", None)
    found = [own] if isinstance(own, nn.Module) else [base.get_input_embeddings(), getattr(base, "wpe", None)]
    encoder = getattr(base, "encoder", None)
    if encoder is not None and hasattr(encoder, "rel_embeddings"):
        found += [encoder.rel_embeddings, getattr(encoder, "LayerNorm", None)]
    return tuple(module for module in found if module is not None)


def freeze(parts: Parts, settings: Finetune | FinetuneImage) -> list[nn.Module]:
    """Take embeddings and lower layers out of the training; return them: they are to stay in eval mode.

    Raises DatassayError where layers are to be frozen and the model has fewer, or layers that share their weights.
    """
    count = settings.freeze_layers
    if count and not parts.lists:
        raise DatassayError(
            f"model '{settings.name}': no list of layers found in type '{parts.model_type}' (ALBERT shares one among "
            "all of them), set freeze_layers: 0; freeze_embeddings can stay"
        )
    if count > len(parts.layers):
        raise DatassayError(f"model '{settings.name}': freeze_layers is {count}, the backbone has {len(parts.layers)}")
    frozen = [*parts.layers[:count], *(parts.embeddings if settings.freeze_embeddings else ())]
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


class Lower:
    """Hidden states of all sequences at the top of the frozen part: float32 [tokens, width], computed once.

    Frozen layers are in eval mode with fixed weights, so that what they give is the same in every epoch, dropout pass
    and seed. A model whose remaining part cannot be fed with hidden states, or whose lower part still learns, is
    trained on the plain path.
    """

    def __init__(self, encoded: Encoded) -> None:
        self.encoded = encoded
        self.states: torch.Tensor | None = None
        self.usable = True

    def take_over(self, task: Task, parts: Parts, settings: Finetune, feed: Callable[[np.ndarray], Inputs]) -> None:
        """Make the task run the upper part on cached hidden states, if they fit and give the same logits.

        feed: numbers of sequences -> arguments of the model.
        """
        needed = 4 * len(self.encoded.ids.flat) * task.model.config.hidden_size
        if needed > CACHE_BYTES:
            logger.info("hidden states of the frozen layers would take %d MB, they are recomputed", needed >> 20)
            return
        if (
            not self.usable
            or len(parts.lists) > 1
            or not isinstance(getattr(parts.base, "embeddings", None), nn.Module)
        ):
            return
        rows = np.argsort(-self.encoded.lengths, kind="stable")
        sample = rows[np.linspace(0, len(rows) - 1, min(CHECKED_ROWS, len(rows))).astype(int)]
        task.mode(training=False)
        plain = _logits(task, sample)
        first = self.states is None
        if first:
            self.states = self._compute(task, parts, settings, feed)
        if self.states is None:
            self.usable = False
            logger.info("%s: frozen layers depend on weights that learn, they run in every pass", parts.model_type)
            return
        plain_inputs, undo = task.inputs, _cut(parts, settings.freeze_layers)
        task.inputs = lambda chosen, _: self._batch(chosen)
        try:
            difference = float((_logits(task, sample) - plain).abs().max() / plain.abs().max().clamp(min=1.0))
        except (TypeError, ValueError, RuntimeError, AttributeError, StopIteration) as error:
            logger.info("%s: frozen layers cannot be run apart (%s)", parts.model_type, error)
            difference = np.inf
        if difference <= TOLERANCE:
            task.restore = undo
            if first:
                kept = (settings.freeze_layers, needed >> 20)
                logger.info("%d frozen layers ran once, %d MB of hidden states kept", *kept)
            return
        undo()
        task.inputs, self.usable, self.states = plain_inputs, False, None
        logger.info("%s: frozen layers run again in every pass", parts.model_type)

    def _compute(
        self, task: Task, parts: Parts, settings: Finetune, feed: Callable[[np.ndarray], Inputs]
    ) -> torch.Tensor | None:
        """Return the states, None where the layers read weights that are not frozen."""

        def stop(_module: nn.Module, _args: Any, output: Any) -> None:
            raise _Reached(output[0] if isinstance(output, tuple) else output)

        def reach(sequences: np.ndarray) -> torch.Tensor:
            try:
                task.model(**feed(sequences))
            except _Reached as reached:
                return reached.hidden
            raise AssertionError("a forward pass without its frozen layers")

        ids = self.encoded.ids
        hook = parts.layers[settings.freeze_layers - 1].register_forward_hook(stop)
        try:
            if (first := reach(np.array([0]))).requires_grad:
                return None
            states = torch.empty(len(ids.flat), first.shape[-1], device=first.device)
            with torch.no_grad():
                for batch in by_length(np.arange(len(ids.lengths)), settings.eval_batch_size, ids.lengths):
                    index, mask = (torch.from_numpy(array).to(first.device) for array in ids.index(batch))
                    states[index[mask]] = reach(batch)[mask].float()
        finally:
            hook.remove()
        return states

    def _batch(self, rows: np.ndarray) -> Inputs:
        assert self.states is not None
        index, mask = self.encoded.ids.index(self.encoded.sequences(rows))
        where, real = (torch.from_numpy(array).to(self.states.device) for array in (index, mask))
        return {"inputs_embeds": self.states[where], "attention_mask": real.long()}


def _cut(parts: Parts, count: int) -> Callable[[], None]:
    """Take embeddings and the lowest layers out of the model; return what puts them back."""
    base: Any = parts.base
    (owner, name), embeddings = parts.lists[0], base.embeddings
    layers = getattr(owner, name)

    def undo() -> None:
        base.embeddings = embeddings
        setattr(owner, name, layers)

    base.embeddings = _GivenStates()
    setattr(owner, name, nn.ModuleList(layers[count:]))
    return undo


def _logits(task: Task, rows: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return answer(task, task.inputs(rows, None), rows).float()
