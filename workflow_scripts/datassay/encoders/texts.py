"""The texts of an example as a whole, the same for the encoder and for the language model."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def whole_texts(examples: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray | None]:
    """Return the text of every example and what follows it, object arrays [n]; None where nothing ever does.

    A second text follows (text_b), and all options of a multiple choice with " / " between them. Missing texts are
    empty.
    """
    parts = [_column(examples, "text_b")] if "text_b" in examples else []
    parts += [examples["options"].map(" / ".join).tolist()] if "options" in examples else []
    second = [" ".join(filter(None, texts)) for texts in zip(*parts, strict=True)]
    return np.array(_column(examples, "text"), dtype=object), np.array(second, dtype=object) if parts else None


def _column(examples: "pd.DataFrame", name: str) -> list[str]:
    return examples[name].fillna("").astype(str).tolist()
