"""The data card: what a data set holds, in numbers that do not change unless the data does."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.config import Dataset
from datassay.data.images import ImageInfo
from datassay.data.labels import UNKNOWN, is_known
from datassay.data.source import POOL, PROBE, SPLITS, UNSEEN
from datassay.errors import counted

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("text", "text_b", "options")
SMALL_CLASS = 3  # rows below which a class is more likely a slip of the pen
MISSING_NAMES = ("na", "n/a", "none", "null", "nan")
QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}


def data_card(
    settings: Dataset,
    examples: "pd.DataFrame",
    label_names: Sequence[str],
    infos: Sequence[ImageInfo],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Describe a built set: JSON-like, the same whenever and wherever it is built.

    infos: what the headers of the images say, row by row; empty for text.
    """
    duplicates, warnings = _duplicates(examples)
    noise = {**settings.noise.params(), "known": "true_label" in examples, "n_noisy": int(examples["is_noisy"].sum())}
    card = {
        "name": settings.name,
        "modality": "image" if "image" in examples else "text",
        "task": settings.task,
        "source": settings.source,
        "path": settings.path,
        "subset": settings.subset,
        "revision": settings.revision,
        "label_names": list(label_names),
        "n": len(examples),
        "counts": _counts(examples, label_names),
        "noise": noise,
        "duplicates": duplicates,
        "notes": [
            *notes,
            *warnings,
            *_small_classes(settings, examples, label_names),
            *_odd_classes(settings, label_names),
            *_noise_outside_train(examples),
        ],
        "sha256": content_hash(examples),
    }
    return card | (_image_facts(infos) if "image" in examples else _text_facts(examples))


def findings(card: dict[str, Any]) -> list[str]:
    """Return what to read before going on, a line each: the notes of a card, and how often rows are repeated."""
    repeated, ambiguous = card["duplicates"]["repeated"], card["duplicates"]["with_several_labels"]
    if not repeated:
        return card["notes"]
    line = f"Duplicates: {counted(repeated, 'row repeats', 'rows repeat')} an earlier one"
    if ambiguous:
        also = ["injected noise"] * bool(card["noise"]["rate"]) + ["no label"] * (POOL in card["counts"])
        line += f", {counted(ambiguous, 'content has', 'contents have')} several labels"
        line += f" ({' and '.join(also)} included)" if also else ""
    return [*card["notes"], f"{line}."]


def card_with_probes(card: dict[str, Any], examples: "pd.DataFrame", probes: "pd.DataFrame") -> dict[str, Any]:
    """Return the card of a data set in which probes were planted: its counts and hash, and the probes by suite."""
    return card | {
        "n": len(examples),
        "counts": _counts(examples, card["label_names"]),
        "noise": {**card["noise"], "n_noisy": int(examples["is_noisy"].sum())},
        "probes": {suite: int(count) for suite, count in probes["suite"].value_counts(sort=False).items()},
        "sha256": content_hash(examples),
    }


def recounted(card: dict[str, Any], examples: "pd.DataFrame", notes: Sequence[str]) -> dict[str, Any]:
    """Return the card of a set some of whose labels have changed, with further notes."""
    return card | {
        "counts": _counts(examples, card["label_names"]),
        "noise": card["noise"] | {"known": "true_label" in examples, "n_noisy": int(examples["is_noisy"].sum())},
        "duplicates": _duplicates(examples)[0],
        "notes": [*card["notes"], *notes],
        "sha256": content_hash(examples),
    }


def content_hash(examples: "pd.DataFrame") -> str:
    """Return the sha256 of all values by column, independent of how and where they are stored."""
    digest = hashlib.sha256()
    for name in examples.columns:
        digest.update(f"column {name} {len(examples)}\n".encode())
        for value in _contents(examples, name):
            digest.update(len(value).to_bytes(8, "little"))
            digest.update(value)
    return digest.hexdigest()


def _contents(examples: "pd.DataFrame", name: str) -> Iterator[bytes]:
    for value in examples[name]:
        match name:
            case "image":
                yield value["bytes"]
            case "options":
                yield json.dumps(list(value)).encode()
            case _:
                yield str(value).encode()


def _counts(examples: "pd.DataFrame", label_names: Sequence[str]) -> dict[str, dict[str, Any]]:
    counts = {}
    for split in (*SPLITS, PROBE, UNSEEN):
        labels = examples.loc[examples["split"] == split, "label"].to_numpy()
        if split in (POOL, PROBE, UNSEEN) and not len(labels):
            continue
        if labels.dtype.kind == "f":
            counts[split] = {"n": len(labels), "labels": _label_statistics(labels[is_known(labels)])}
        else:
            by_class = np.bincount(labels[labels != UNKNOWN], minlength=len(label_names))
            counts[split] = {"n": len(labels), "classes": dict(zip(label_names, by_class.tolist(), strict=True))}
    return counts


def _label_statistics(labels: np.ndarray) -> dict[str, float]:
    """Return count, mean, population standard deviation and quantiles of the labels of a regression."""
    if not len(labels):
        return {"n": 0}
    return {"n": len(labels), "mean": float(labels.mean()), "std": float(labels.std()), **_quantiles(labels)}


def _duplicates(examples: "pd.DataFrame") -> tuple[dict[str, int], list[str]]:
    """Count rows whose content occurred before, contents with several labels, and train rows that are in test too."""
    parts = [list(_contents(examples, name)) for name in (*TEXTS, "image") if name in examples]
    keys = [hashlib.sha256(b"\0".join(contents)).digest() for contents in zip(*parts, strict=True)]
    labels: dict[bytes, set[float]] = {}
    for key, label in zip(keys, examples["label"], strict=True):
        labels.setdefault(key, set()).add(label)
    splits = examples["split"].to_numpy()
    tested = {key for key, split in zip(keys, splits, strict=True) if split == "test"}
    found = {
        "repeated": len(keys) - len(labels),
        "with_several_labels": sum(len(values) > 1 for values in labels.values()),
        "train_in_test": sum(key in tested for key, split in zip(keys, splits, strict=True) if split == "train"),
    }
    leak = found["train_in_test"]
    leaked = counted(leak, "train example is", "train examples are")
    return found, [f"Leakage: {leaked} also in test, word for word."] if leak else []


def _small_classes(settings: Dataset, examples: "pd.DataFrame", label_names: Sequence[str]) -> list[str]:
    if settings.task != "classification":
        return []
    counts = np.bincount(examples.loc[examples["split"] == "train", "label"], minlength=len(label_names))
    small = [name for name, count in zip(label_names, counts, strict=True) if count < 2]
    notes = [f"Fewer than two train rows: {', '.join(small)}."] if small else []
    labels = examples["label"].to_numpy()
    counts = np.bincount(labels[labels != UNKNOWN], minlength=len(label_names))
    rare = [f"{name} ({count})" for name, count in zip(label_names, counts, strict=True) if count < SMALL_CLASS]
    return [*notes, *([f"Fewer than {SMALL_CLASS} labelled rows in all: {', '.join(rare)}."] if rare else [])]


def _odd_classes(settings: Dataset, label_names: Sequence[str]) -> list[str]:
    """Note names that look like a slip: equal but for case and blanks, or a word for "no label".

    Names that the config lists are meant.
    """
    if settings.task != "classification":
        return []
    listed = {*(settings.label_names or []), *(settings.classes or [])}
    alike: dict[str, list[str]] = {}
    for name in label_names:
        if name not in listed:
            alike.setdefault(name.strip().casefold(), []).append(name)
    notes = [
        f"Classes {' and '.join(map(repr, names))} differ in case or blanks only: if they are one, write it one way."
        for names in alike.values()
        if len(names) > 1
    ]
    missing = [name for key, names in alike.items() if key in MISSING_NAMES for name in names]
    return notes + [f"Class {name!r} looks like a missing label: if it is, leave the cell empty." for name in missing]


def _noise_outside_train(examples: "pd.DataFrame") -> list[str]:
    wrong = int((examples["is_noisy"] & ~examples["split"].isin(["train", "pool"])).sum())
    if not wrong:
        return []
    return [
        f"{counted(wrong, 'label')} outside train {'is' if wrong == 1 else 'are'} known to be wrong: numbers measured "
        "there suffer."
    ]


def _quantiles(values: "Sequence[int] | np.ndarray") -> dict[str, float]:
    return {name: float(np.quantile(values, share)) for name, share in QUANTILES.items()}


def _text_facts(examples: "pd.DataFrame") -> dict[str, Any]:
    texts = {name: list(examples[name]) for name in ("text", "text_b") if name in examples}
    if "options" not in examples:
        return {"characters": {name: _quantiles([len(text) for text in found]) for name, found in texts.items()}}
    texts["options"] = [option for options in examples["options"] for option in options]
    return {
        "options": len(examples["options"].iloc[0]),
        "characters": {name: _quantiles([len(text) for text in found]) for name, found in texts.items()},
    }


def _image_facts(infos: Sequence[ImageInfo]) -> dict[str, Any]:
    formats = [info.format for info in infos]
    return {
        "pixels": {
            "width": _quantiles([info.width for info in infos]),
            "height": _quantiles([info.height for info in infos]),
        },
        "formats": {name: formats.count(name) for name in sorted(set(formats))},
    }
