"""A language model, texts as it reads them, and the log-probability of chosen tokens."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.config import LanguageModel
from datassay.encoders.backbones import OWN_CODE_ONLY, loading, model_source, resolve_precision
from datassay.encoders.texts import whole_texts
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd
    import torch

CHECKED_SEQUENCES = 4
TOLERANCE = 1e-3  # of the largest log-probability, between the narrow and the plain path
Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Texts:
    """Per text: its token ids, the segments (None where the model has none), and the places of its content tokens."""

    ids: list[np.ndarray]
    segments: list[np.ndarray] | None
    places: list[np.ndarray]


class Language:
    """A language model, and how the log-probability of a token is read from it."""

    def __init__(self, settings: LanguageModel, key: str = "language_model") -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

        self.key = key  # where the config names it
        source = model_source(settings.model)
        with loading(settings.model):
            self.tokenizer: Any = AutoTokenizer.from_pretrained(source, revision=settings.revision, **OWN_CODE_ONLY)
            self.causal = _is_causal(source, settings, key)
            kind: Any = AutoModelForCausalLM if self.causal else AutoModelForMaskedLM
            self.model, report = kind.from_pretrained(
                source, revision=settings.revision, dtype=torch.float32, output_loading_info=True, **OWN_CODE_ONLY
            )
        if missing := sorted(report["missing_keys"]):
            fail(key, settings, f"it has no pretrained {missing[0]}, so that it is no language model")
        self.masked_one_by_one = not self.causal and settings.mode == "masked"
        if self.masked_one_by_one and self.tokenizer.mask_token_id is None:
            fail(key, settings, "its tokenizer has no mask token, set mode: unmasked")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.eval().to(self.device)
        self.bf16 = resolve_precision(settings.precision) == "bf16"
        self.taken = inspect.signature(self.model.forward).parameters
        self.narrow: bool | None = None

    def log_probabilities(self, inputs: dict[str, "torch.Tensor"], where: Batch, truth: np.ndarray) -> np.ndarray:
        """Return log P of the tokens truth [k] at `where` (sequences [k], places [k]), float32 [k].

        The head is run at these places alone, unless a first comparison shows that it needs the others as well.
        """
        if self.narrow is None:
            few = where[0] < CHECKED_SEQUENCES
            some = {name: value[:CHECKED_SEQUENCES] for name, value in inputs.items()}
            self.narrow = self._can_be_narrow(some, (where[0][few], where[1][few]), truth[few])
        return self._read(inputs, where, truth, self.narrow)

    def _can_be_narrow(self, inputs: dict[str, "torch.Tensor"], where: Batch, truth: np.ndarray) -> bool:
        plain = self._read(inputs, where, truth, narrow=False)
        try:
            found = self._read(inputs, where, truth, narrow=True)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
            return False
        return bool(np.abs(found - plain).max(initial=0) <= TOLERANCE * np.abs(plain).max(initial=1))

    def _read(self, inputs: dict[str, "torch.Tensor"], where: Batch, truth: np.ndarray, narrow: bool) -> np.ndarray:
        import torch

        sequences, places = (torch.from_numpy(array).to(self.device) for array in where)
        wanted = torch.from_numpy(truth).to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            if narrow:
                with _only(self.model.base_model, lambda hidden: hidden[sequences, places][None]):
                    logits = self.model(**inputs).logits[0].float()
            else:
                logits = self.model(**inputs).logits[sequences, places].float()
        own = logits.gather(1, wanted[:, None])[:, 0]
        return (own - logits.logsumexp(dim=1)).cpu().numpy()


def _is_causal(source: str, settings: LanguageModel, key: str) -> bool:
    """Tell a causal from a masked model by its config."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    config = AutoConfig.from_pretrained(source, revision=settings.revision, **OWN_CODE_ONLY)
    if config.is_encoder_decoder:
        fail(key, settings, f"'{config.model_type}' is an encoder-decoder, name a masked or a causal model")
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False):
        return False
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        fail(key, settings, f"'{config.model_type}' is no language model, name a masked or a causal one")
    return True


def fail(key: str, settings: LanguageModel, reason: str) -> None:
    raise DatassayError(f"{key}: '{settings.model}': {reason}")


@contextmanager
def _only(base: Any, choose: Callable[["torch.Tensor"], "torch.Tensor"]) -> Iterator[None]:
    """Let the head of a model see a part of the hidden states [n, length, width] only."""

    def cut(_module: Any, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (choose(output[0]), *output[1:])
        output.last_hidden_state = choose(output.last_hidden_state)
        return output

    hook = base.register_forward_hook(cut)
    try:
        yield
    finally:
        hook.remove()


def encode(examples: "pd.DataFrame", language: Language, settings: LanguageModel) -> Texts:
    """Tokenise; special tokens written out in a text are plain text. A causal model gets its start token in front."""
    tokenizer = language.tokenizer
    columns = [texts.tolist() for texts in whole_texts(examples) if texts is not None]
    bare = tokenizer.num_special_tokens_to_add(pair=len(columns) == 2) == 0
    if bare and len(columns) == 2:
        columns[1] = [f" {text}" for text in columns[1]]  # nothing else marks the border
    start = tokenizer.bos_token_id if bare and language.causal else None
    found = tokenizer(
        *columns,
        truncation="longest_first",
        max_length=min(settings.max_length, tokenizer.model_max_length) - (start is not None),
        return_special_tokens_mask=True,
        split_special_tokens=True,
    )
    ids = [np.array(row, dtype=np.int64) for row in found["input_ids"]]
    places = [np.flatnonzero(np.array(row) == 0) for row in found["special_tokens_mask"]]
    segments = None
    if "token_type_ids" in found and "token_type_ids" in language.taken:
        segments = [np.array(row, dtype=np.int64) for row in found["token_type_ids"]]
    if start is not None:
        ids, places = [np.concatenate([[start], row]) for row in ids], [row + 1 for row in places]
    if language.causal:
        places = [row[row > 0] for row in places]
    return Texts(ids, segments, places)


def token_scores(
    owners: list[int], places: list[np.ndarray], texts: Texts, language: Language, masked: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return which sequence of the batch every token stands in, int64 [k], and its log-probability, float32 [k].

    owners: the text of every sequence of the batch, places: the tokens of it to read. masked: hide these from a masked
    model, which otherwise sees what it predicts. Raises DatassayError where the device's memory does not suffice.
    """
    import torch

    tokens, mask = _padded([texts.ids[i] for i in owners], language.tokenizer.pad_token_id or 0)
    arrays = {"input_ids": tokens, "attention_mask": mask}
    if texts.segments is not None:
        arrays["token_type_ids"] = _padded([texts.segments[i] for i in owners], 0)[0]
    sequences = np.repeat(np.arange(len(owners)), [len(p) for p in places])
    found = np.concatenate(places)
    truth = tokens[sequences, found]
    if masked:
        tokens[sequences, found] = language.tokenizer.mask_token_id
    inputs = {key: torch.from_numpy(array).to(language.device) for key, array in arrays.items()}
    read = (sequences, found - 1 if language.causal else found)
    try:
        return sequences, language.log_probabilities(inputs, read, truth)
    except torch.cuda.OutOfMemoryError as error:
        text = f"CUDA out of memory with {tokens.size} tokens at a time, lower tokens_per_batch"
        raise DatassayError(f"{language.key}: {text}") from error


def passes(
    rows: np.ndarray, texts: Texts, budget: int, one_by_one: bool
) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Yield batches of at most `budget` tokens: which text each sequence holds, and the places to read in it.

    one_by_one: a sequence per place, else one per text.
    """
    owners: list[int] = []
    places: list[np.ndarray] = []
    width = 0
    for row in rows:
        for part in texts.places[row][:, None] if one_by_one else [texts.places[row]]:
            if len(part) == 0:
                continue
            longest = max(width, len(texts.ids[row]))
            if owners and longest * (len(owners) + 1) > budget:
                yield owners, places
                owners, places, longest = [], [], len(texts.ids[row])
            width = longest
            owners.append(int(row))
            places.append(part)
    if owners:
        yield owners, places


def _padded(rows: list[np.ndarray], filler: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows int64 [n, longest], filled up on the right, and a mask of what is real."""
    out = np.full((len(rows), max(map(len, rows))), filler, np.int64)
    mask = np.zeros_like(out)
    for number, row in enumerate(rows):
        out[number, : len(row)], mask[number, : len(row)] = row, 1
    return out, mask
