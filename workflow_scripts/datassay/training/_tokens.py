"""Texts, pairs and options as token ids, encoded once for all epochs and seeds."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from datassay.config import Finetune
from datassay.errors import DatassayError
from datassay.training._recipes import Inputs
from datassay.training.batches import Ragged

if TYPE_CHECKING:
    import pandas as pd

BLANK = re.compile(r"(?<!\w)_+(?!\w)")


@dataclass(frozen=True)
class Encoded:
    """Token ids of all sequences: one per row, or with options one per row and option, those of a row together.

    arrays: input_ids and, where the tokenizer gives them, token_type_ids. per_row: sequences of a row. pad: the id
    that fills up short sequences.
    """

    arrays: dict[str, Ragged]
    per_row: int
    pad: int

    @property
    def ids(self) -> Ragged:
        """Token ids of the sequences."""
        return self.arrays["input_ids"]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of every row, of the longest option; int64 [N]."""
        return self.ids.lengths.reshape(-1, self.per_row).max(axis=1)

    def sequences(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers of the sequences of some rows, int64 [n per_row]."""
        return (rows[:, None] * self.per_row + np.arange(self.per_row)).ravel()

    def batch(self, sequences: np.ndarray, device: torch.device) -> Inputs:
        """Return the arguments of a model for some sequences, filled up on the right."""
        arrays = {k: ragged.padded(sequences, self.pad if k == "input_ids" else 0) for k, ragged in self.arrays.items()}
        arrays["attention_mask"] = self.ids.index(sequences)[1].astype(np.int64)
        return {key: torch.from_numpy(array).to(device) for key, array in arrays.items()}


def encode(examples: "pd.DataFrame", task: str, tokenizer: Any, config: Any, settings: Finetune) -> Encoded:
    """Tokenise the rows; a pair is encoded as the tokenizer does it, and cut where it is longest.

    A tokenizer that marks neither end nor border of a pair (GPT-2) gets a blank between the two. An encoder-decoder
    answers at the end token, so that one which stands in the text itself is read as an unknown word.
    Raises DatassayError where such a model's tokenizer does not end every text alike.
    """
    first, second = option_pairs(examples) if task == "multiple_choice" else _texts(examples)
    if second is not None and tokenizer.num_special_tokens_to_add(pair=True) == 0:
        second = [f" {text}" for text in second]
    found = tokenizer(
        *([first] if second is None else [first, second]),
        truncation="longest_first",
        max_length=min(settings.max_length, tokenizer.model_max_length),
        return_attention_mask=False,
        return_special_tokens_mask=config.is_encoder_decoder,
    )
    if config.is_encoder_decoder:
        _end_once(found, config.eos_token_id, tokenizer)
    if any(len(ids) == 0 for ids in found["input_ids"]):  # a decoder's tokenizer adds no special tokens
        found["input_ids"] = [ids or [tokenizer.pad_token_id] for ids in found["input_ids"]]
    arrays = {key: Ragged(found[key]) for key in ("input_ids", "token_type_ids") if key in found}
    if config.is_encoder_decoder:
        _check_ends(arrays["input_ids"], config, settings)
    return Encoded(arrays, len(first) // len(examples), tokenizer.pad_token_id)


def option_pairs(examples: "pd.DataFrame") -> tuple[list[str], list[str]]:
    """Return both texts of every (row, option), the options of a row together.

    Where the text holds a blank (underscores that stand alone, as in WinoGrande), it is cut there: what comes before
    it, and the option with what comes after it (Sakaguchi et al., AAAI 2020). Otherwise the text and the option; with
    a text_b, which the option then continues (as in SWAG), the text and text_b with the option.
    """
    first, second = [], []
    starts = [f"{text} " if text else "" for text in _column(examples, "text_b")]
    for text, start, options in zip(_column(examples, "text"), starts, examples["options"], strict=True):
        blank = BLANK.search(text)
        for option in map(str, options):
            first.append(text[: blank.start()].rstrip() if blank else text)
            second.append(start + option + (text[blank.end() :] if blank else ""))
    return first, second


def _texts(examples: "pd.DataFrame") -> tuple[list[str], list[str] | None]:
    return _column(examples, "text"), _column(examples, "text_b") if "text_b" in examples else None


def _column(examples: "pd.DataFrame", name: str) -> list[str]:
    return examples[name].fillna("").astype(str).tolist() if name in examples else [""] * len(examples)


def _end_once(found: Any, end: int, tokenizer: Any) -> None:
    other = tokenizer.pad_token_id if tokenizer.unk_token_id is None else tokenizer.unk_token_id
    for ids, special in zip(found["input_ids"], found["special_tokens_mask"], strict=True):
        if end in ids[:-1]:
            ids[:] = [other if token == end and not own else token for token, own in zip(ids, special, strict=True)]


def _check_ends(ids: Ragged, config: Any, settings: Finetune) -> None:
    ends = np.add.reduceat((ids.flat == config.eos_token_id).astype(int), ids.starts)
    if ends.min() == 0 or ends.min() < ends.max():
        raise DatassayError(
            f"model '{settings.name}': the tokenizer of '{settings.backbone}' does not put its end token "
            f"({config.eos_token_id}) behind every text, which a model of type '{config.model_type}' answers at"
        )
