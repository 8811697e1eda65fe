"""Describe hub data sets by rule, so that they can be sources: text, label, task and sizes, or why it cannot be told.

`python -m datassay.transfer.discovery NAME[:SUBSET] ... > found.yaml` writes their blocks for `datasets` of a config.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("label", "target")
TEXTS = ("sentence", "input", "inputs", "text")
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"))
MOST_CLASSES = 60
SAMPLE = 1000  # rows that are looked at where names do not tell


def describe(name: str, kinds: Mapping[str, str], sizes: Mapping[str, int], sample: "pd.DataFrame") -> dict[str, Any]:
    """Return text (one column or a pair), label, task, classes, train_split and sizes of a data set.

    kinds: column -> class (with its names), text, integer, float or other. sizes: split -> rows. sample: rows of the
    train split. Rules, the first that holds, after the code of Schulte et al., EMNLP 2024:
    label: a column named label or target; the class column, of several the one with the fewest classes; the text column
    with the fewest, 2 to 60, different values in the sample; the first float column. text: the only other text column;
    one named sentence, input, inputs or text; a pair of usual names; the one with the most words on average.
    Classification where the label is a class, a text, or a whole number of at most 60 values; else regression.
    Raises DatassayError with the reason where no rule holds or the label says nothing.
    """
    if not len(sample):
        raise DatassayError(f"{name}: the train split has no rows")
    label = _label(name, kinds, sample)
    text = _text(name, kinds, sample, label)
    values = sample[label].dropna()
    different = values.nunique()
    if different < 2:
        raise DatassayError(f"{name}: label '{label}' has {different} value in {len(sample)} rows, needs 2")
    kind = kinds[label]
    regression = kind == "float" or (kind == "integer" and different > MOST_CLASSES)
    if not regression and different > MOST_CLASSES:
        raise DatassayError(f"{name}: label '{label}' has {different} classes, {MOST_CLASSES} at most")
    return {
        "text": text,
        "label": label,
        "task": "regression" if regression else "classification",
        "classes": None if regression else int(different),
        "train_split": train_split(sizes),
        "sizes": dict(sizes),
    }


def train_split(sizes: Mapping[str, int]) -> str:
    """Return the split to learn from: the only one, that named train, or the largest."""
    return "train" if "train" in sizes else max(sizes, key=lambda split: sizes[split])


def _label(name: str, kinds: Mapping[str, str], sample: "pd.DataFrame") -> str:
    usable = {column: kind for column, kind in kinds.items() if kind != "other"}
    for usual in LABELS:
        if usual in usable:
            return usual
    counts = {column: sample[column].nunique() for column in usable}
    for wanted in ("class", "text"):
        found = [c for c, kind in usable.items() if kind == wanted and 2 <= counts[c] <= MOST_CLASSES]
        if found:
            return min(found, key=lambda column: counts[column])
    numbers = [column for column, kind in usable.items() if kind == "float"]
    if numbers:
        return numbers[0]
    raise DatassayError(
        f"{name}: no label: no column named {' or '.join(LABELS)}, no class column, no text column of 2 to "
        f"{MOST_CLASSES} values, no float column among {', '.join(kinds) or 'none'}"
    )


def _text(name: str, kinds: Mapping[str, str], sample: "pd.DataFrame", label: str) -> list[str]:
    texts = [column for column, kind in kinds.items() if kind == "text" and column != label]
    if not texts:
        raise DatassayError(f"{name}: no text column beside the label '{label}', columns: {', '.join(kinds)}")
    if len(texts) == 1:
        return texts
    for usual in TEXTS:
        if usual in texts:
            return [usual]
    for pair in PAIRS:
        if set(pair) <= set(texts):
            return list(pair)
    words = {column: np.mean([len(str(text).split()) for text in sample[column].dropna()] or [0]) for column in texts}
    return [max(texts, key=lambda column: words[column])]


def discover(name: str, subset: str | None = None, revision: str | None = None) -> dict[str, Any]:
    """Return a block for `datasets` of a hub data set or a local folder, and what was found under `about`.

    Reads at most 1,000 rows of the train split, drawn by seed 42 from a buffer of as many, and the sizes that the hub
    states. Raises DatassayError where it cannot be loaded or described.
    """
    import pandas as pd

    where = f"{name} ({subset})" if subset else name
    try:
        features, sizes, data = _opened(name, subset, revision)
        rows = list(data.shuffle(seed=42, buffer_size=SAMPLE).take(SAMPLE))
    except Exception as error:  # each kind of fault of network, cache, builder and script has its own exception
        reason = " ".join(str(error).split())[:200]
        raise DatassayError(f"{where}: cannot be loaded ({type(error).__name__}: {reason})") from error
    kinds = {column: _kind(feature) for column, feature in features.items()}
    about = describe(where, kinds, sizes, pd.DataFrame(rows, columns=list(kinds)))
    columns = dict(zip(("text", "text_b"), about["text"], strict=False)) | {"label": about["label"]}
    block = {
        "name": re.sub(r"[^A-Za-z0-9_-]+", "_", f"{name}_{subset}" if subset else name).strip("_"),
        "source": "hub",
        "path": name,
        "subset": subset,
        "revision": revision,
        "task": about["task"],
        "columns": columns,
    }
    return {key: value for key, value in block.items() if value is not None} | {"about": about}


def _opened(name: str, subset: str | None, revision: str | None) -> tuple[Any, dict[str, int], Any]:
    """Return features, split sizes and the rows of the train split, streamed."""
    import datasets

    builder = datasets.load_dataset_builder(name, subset, revision=revision)
    stated = builder.info.splits or {}
    sizes = {split: int(about.num_examples or 0) for split, about in stated.items()}
    streams = datasets.load_dataset(name, subset, revision=revision, streaming=True)
    sizes = sizes or dict.fromkeys(streams, 0)
    data = streams[train_split(sizes)]
    features = data.features or builder.info.features
    if features is None:
        raise ValueError("the hub states no columns")
    return features, sizes, data


def _kind(feature: Any) -> str:
    import datasets

    if isinstance(feature, datasets.ClassLabel):
        return "class"
    dtype = getattr(feature, "dtype", "") if isinstance(feature, datasets.Value) else ""
    names = {"string": "text", "large_string": "text", "bool": "integer"}
    return names.get(dtype) or next((k for k in ("float", "int") if k in dtype), "other").replace("int", "integer")


def main(arguments: Sequence[str] | None = None) -> None:
    """Describe data sets from the command line: YAML to stdout, refusals to stderr."""
    import yaml

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME[:SUBSET]", help="hub data sets or local folders")
    parser.add_argument("--revision", help="commit to pin, the same for all")
    given = parser.parse_args(arguments)
    blocks, refused = [], 0
    for text in given.names:
        name, _, subset = text.partition(":")
        try:
            block = discover(name, subset or None, given.revision)
        except DatassayError as error:
            print(f"refused: {error}", file=sys.stderr)
            refused += 1
            continue
        about = block.pop("about")
        sizes = ", ".join(f"{split} {rows:,}" for split, rows in about["sizes"].items())
        print(f"{block['name']}: {about['task']}, {about['classes'] or 'no'} classes, {sizes}", file=sys.stderr)
        blocks.append(block)
    if blocks:
        print(yaml.safe_dump({"datasets": blocks}, sort_keys=False, allow_unicode=True), end="")
    if refused:
        parser.exit(1)


if __name__ == "__main__":
    main()
