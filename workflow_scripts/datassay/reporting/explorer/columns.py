"""What the page can show of a row: numbers and categories, found by their type, not by their name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from datassay.registry import methods
from datassay.reporting.columns import column_guide, known_noise

if TYPE_CHECKING:
    import pandas as pd

MISSING = 65535  # code of a category that is not known
MOST_CATEGORIES = 1000
CONTENT = ("example_id", "text", "text_b", "options", "image_path", "image")
PREDICTED = "predicted_label"
NOISE = "noise"
EXAMPLE = ("label", PREDICTED, "suggested_label", "true_label", NOISE, "split", "is_probe")  # what comes first


@dataclass(frozen=True)
class Shown:
    """One column of the page: float32 numbers (NaN missing), or uint16 codes of `names` (MISSING missing)."""

    name: str
    kind: Literal["number", "category"]
    values: np.ndarray
    names: tuple[str, ...] = ()
    family: str = "example"
    about: str = ""


def shown_columns(assay: "pd.DataFrame", label_names: Sequence[str], predicted: np.ndarray | None) -> list[Shown]:
    """Return every number, boolean and category of n rows of an assay, what describes the example first.

    label_names: order of the classes, so that a class has one colour in every column that holds classes.
    predicted: [n] names of classes, or float predictions of a regression; None where no model was trained.
    Left out are ids, texts and images, columns of more than MOST_CATEGORIES texts, and those without any known value.
    Infinite numbers are missing.
    """
    import pandas as pd

    named: dict[str, pd.Series] = {}
    for name in map(str, assay):
        if name == "is_noisy":
            named[NOISE] = _noise(assay)
        elif name not in CONTENT and (name != "is_probe" or assay[name].any()):
            named[name] = assay[name]
        if name == "label" and predicted is not None:
            named[PREDICTED] = pd.Series(predicted, index=assay.index)
    families, texts = _families(), _descriptions()
    found = []
    for name, column in named.items():
        plain, _, model = name.partition(".")
        family = families.get(plain.removesuffix("_standard_error"), "example" if name in EXAMPLE else "other")
        family += f" ({model})" if model else ""
        shown = _shown(name, column, label_names, family, texts.get(plain, ""))
        if shown is not None and _any_known(shown):
            found.append(shown)
    return sorted(found, key=lambda shown: EXAMPLE.index(shown.name) if shown.name in EXAMPLE else len(EXAMPLE))


def _any_known(column: Shown) -> bool:
    known = np.isfinite(column.values) if column.kind == "number" else column.values != MISSING
    return bool(known.any())


def _families() -> Mapping[str, str]:
    named = {c.name: family for family, about in methods("measure").items() for c in about.columns if c.names}
    return named | {name: family for name, (family, _end) in column_guide().items()}


def _descriptions() -> Mapping[str, str]:
    measures = {column.name: column.description for about in methods("measure").values() for column in about.columns}
    values = {name: (about.function.__doc__ or "").split("\n")[0] for name, about in methods("estimator").items()}
    return measures | values


def _noise(assay: "pd.DataFrame") -> "pd.Series":
    import pandas as pd

    words = {0.0: "label right", 1.0: "label wrong"}
    return pd.Series([words.get(value) for value in known_noise(assay)], index=assay.index, dtype=object)


def _shown(name: str, column: "pd.Series", label_names: Sequence[str], family: str, about: str) -> Shown | None:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_bool_dtype(column.dtype):
        codes = np.where(column.isna(), MISSING, column.fillna(False).to_numpy(dtype=bool))
        return Shown(name, "category", codes.astype(np.uint16), ("no", "yes"), family, about)
    if is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        with np.errstate(over="ignore"):
            numbers = values.astype(np.float32)
        return Shown(name, "number", np.where(np.isfinite(numbers), numbers, np.nan), (), family, about)
    return _category(name, column, label_names, family, about)


def _category(name: str, column: "pd.Series", label_names: Sequence[str], family: str, about: str) -> Shown | None:
    import pandas as pd

    words = [None if pd.isna(value) else str(value) for value in column]
    distinct = set(words) - {None}
    names = list(label_names) if distinct and distinct <= set(label_names) else sorted(map(str, distinct))
    if len(names) > MOST_CATEGORIES:
        return None
    code = {word: number for number, word in enumerate(names)}
    codes = np.array([MISSING if word is None else code[word] for word in words], dtype=np.uint16)
    return Shown(name, "category", codes, tuple(names), family, about)


def texts_of(examples: "pd.DataFrame", longest: int) -> Iterator[tuple[str, list[str] | list[list[str]]]]:
    """Yield (column, texts cut to `longest` characters) of what an example says: text, text_b, options."""
    for name in ("text", "text_b"):
        if name in examples:
            yield name, [_cut(text, longest) for text in examples[name]]
    if "options" in examples:
        yield "options", [[_cut(option, longest) for option in row] for row in examples["options"]]


def _cut(text: object, longest: int) -> str:
    if not isinstance(text, str):
        return ""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
