"""Probes: rows set apart from the train rows whose kind is known, because they were chosen or made to be of it.

Siddiqui et al., Metadata Archaeology, ICLR 2023.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.config import Probes
from datassay.config.archaeology import STRANGE
from datassay.data.disturb import noisy_image, noisy_text, pencil_sketch, random_image, random_texts
from datassay.data.images import encode_png, read_image
from datassay.data.labels import UNKNOWN
from datassay.data.source import PROBE, UNSEEN
from datassay.errors import DatassayError
from datassay.randomness import generator

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

LEAST, MOST, SHARE = 20, 500, 0.02
CONTENT = ("text", "text_b")


def suite_size(n: int, settings: Probes) -> int:
    """Return how many probes a suite has: as set, else 2 % of the n train rows, at least 20 and at most 500."""
    return settings.size if settings.size is not None else min(MOST, max(LEAST, round(SHARE * n)))


def plant(
    examples: "pd.DataFrame",
    settings: Probes,
    n_classes: int,
    typicality: Sequence[np.ndarray] = (),
    foreign: Sequence[str] = (),
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Set probes apart in the examples of a classification.

    examples: as `prepare` returns them. typicality: numbers of every train row [n], high = typical; the first decides,
    the next ones break its ties. foreign: sentences of another data set, for out_of_distribution texts.

    Returns the examples, with probes in split "probe" (learnt with the train rows) and rows that are never learnt in
    split "unseen", all of them is_probe and none of them is_noisy; and the probes: example_id, suite, half (reference,
    evaluation, unseen), original_label (a class number, -1 for rows that did not exist). typical, atypical,
    random_outputs, corrupted, ordinary and images out_of_distribution are train rows that keep their place and id; what
    has no row of its own (random_inputs, texts out_of_distribution, unseen rows) stands at the end.

    Raises DatassayError where the train rows are too few. Time O(N log N), and one image or text at a time.
    """
    import pandas as pd

    examples = examples.copy()
    train = np.flatnonzero((examples["split"] == "train").to_numpy())
    size = suite_size(len(train), settings)
    is_image = "image" in examples
    chosen = _choose(train, size, settings, typicality, is_image)
    _check_room(examples, train, chosen, n_classes)
    parts, made = [], []
    for suite in map(str, settings.suites):
        rng = generator(settings.seed, "probe suite", suite)
        if suite in chosen:
            rows, original = chosen[suite], examples["label"].to_numpy()[chosen[suite]]
            _change(examples, rows, suite, settings, n_classes, rng)
            ids = examples["example_id"].to_numpy()[rows]
        else:
            new = _made(examples, train, suite, size, foreign, n_classes, rng).assign(split=PROBE)
            ids, original = new["example_id"].to_numpy(), np.full(len(new), UNKNOWN)
            made.append(new)
            foreign = _unused(foreign, new)
        half = np.where(np.arange(len(ids)) < round(len(ids) * settings.reference), "reference", "evaluation")
        half = half[rng.permutation(len(ids))]
        parts.append(pd.DataFrame({"example_id": ids, "suite": suite, "half": half, "original_label": original}))
    for suite, count in _unseen_counts(settings, size).items():
        new = _unseen(examples, suite, count, foreign, n_classes, generator(settings.seed, "unseen", suite))
        about = {"example_id": new["example_id"], "suite": suite, "half": UNSEEN, "original_label": UNKNOWN}
        made.append(new.assign(split=UNSEEN))
        parts.append(pd.DataFrame(about))
    examples = pd.concat([examples, *made], ignore_index=True)
    if not examples["example_id"].is_unique:
        twice = examples["example_id"][examples["example_id"].duplicated()].iloc[0]
        raise DatassayError(f"probes: the id '{twice}' is that of an example, rename it")
    probes = pd.concat(parts, ignore_index=True).astype({"suite": "str", "half": "str", "original_label": "int64"})
    logger.info("%d probes per suite: %s", size, ", ".join(settings.suites))
    return examples, probes


def _choose(
    train: np.ndarray, size: int, settings: Probes, typicality: Sequence[np.ndarray], is_image: bool
) -> dict[str, np.ndarray]:
    """Return suite -> rows of every suite that is made of train rows; no row is in two."""
    own = [s for s in map(str, settings.suites) if s not in STRANGE or (s == "out_of_distribution" and is_image)]
    if size * len(own) > len(train) // 2:
        raise DatassayError(
            f"probes: {len(own)} suites of {size} take more than half of {len(train)} train rows, lower probes.size or "
            "leave suites out"
        )
    rng = generator(settings.seed, "probe rows")
    chosen: dict[str, np.ndarray] = {}
    free = np.ones(len(train), dtype=bool)
    if {"typical", "atypical"} & set(own):
        if not typicality:
            raise DatassayError("probes: no scores, by which typical and atypical rows are chosen")
        order = np.lexsort((rng.permutation(len(train)), *typicality[::-1]))
        ends = {"typical": order[::-1][:size], "atypical": order[:size]}
        chosen = {suite: ends[suite] for suite in ("typical", "atypical") if suite in own}
        for places in chosen.values():
            free[places] = False
    rest = [suite for suite in own if suite not in chosen]
    drawn = rng.permutation(np.flatnonzero(free))[: size * len(rest)].reshape(len(rest), size)
    chosen |= dict(zip(rest, drawn, strict=True))
    return {suite: np.sort(train[places]) for suite, places in chosen.items()}


def _check_room(examples: "pd.DataFrame", train: np.ndarray, chosen: dict[str, np.ndarray], n_classes: int) -> None:
    labels = examples["label"].to_numpy()
    taken = np.concatenate([*chosen.values(), np.empty(0, np.int64)])
    left = np.bincount(labels[np.setdiff1d(train, taken)], minlength=n_classes)
    if (left == 0).any():
        raise DatassayError(
            f"probes: class number {int(left.argmin())} would have no train row left, lower probes.size or leave "
            "suites out"
        )


def _change(
    examples: "pd.DataFrame", rows: np.ndarray, suite: str, settings: Probes, n_classes: int, rng: np.random.Generator
) -> None:
    """Make probes of train rows, in place."""
    new: dict[str, Any] = {"split": PROBE, "is_probe": True, "is_noisy": False}
    if suite == "random_outputs":
        labels = examples["label"].to_numpy()[rows]
        new["label"] = (labels + rng.integers(1, n_classes, len(rows))) % n_classes
    for name, values in new.items():
        column = examples[name].to_numpy(copy=True)
        column[rows] = values
        examples[name] = column
    change = _disturbance(suite, settings, rng)
    for name in ("image", *CONTENT):
        if change is not None and name in examples:
            contents = list(examples[name])
            for row in rows:
                contents[row] = change(contents[row])
            examples[name] = contents


def _disturbance(suite: str, settings: Probes, rng: np.random.Generator) -> Callable[[Any], Any] | None:
    """Return what a suite does to an image ({"bytes", "path"}) or a text, None where it leaves it as it is."""

    def corrupted(content: Any) -> Any:
        if isinstance(content, str):
            return noisy_text(content, settings.token_noise, rng)
        return _encoded(noisy_image(read_image(content), settings.pixel_noise, rng))

    return {
        "corrupted": corrupted,
        "out_of_distribution": lambda image: _encoded(pencil_sketch(read_image(image))),
    }.get(suite)


def _encoded(pixels: np.ndarray) -> dict[str, Any]:
    return {"bytes": encode_png(pixels), "path": ""}


def _made(
    examples: "pd.DataFrame",
    rows: np.ndarray,
    suite: str,
    count: int,
    foreign: Sequence[str],
    n_classes: int,
    rng: np.random.Generator,
) -> "pd.DataFrame":
    """Return rows of random content, or of foreign texts, under random labels."""
    import pandas as pd

    names = [name for name in ("image", *CONTENT) if name in examples]
    contents: dict[str, Any] = {}
    for name in names:
        column = examples[name]
        if name == "image":
            like = (read_image(column.iat[row]) for row in rng.choice(rows, count))
            contents[name] = [_encoded(random_image(pixels, rng)) for pixels in like]
        elif suite == "random_inputs":
            contents[name] = random_texts(column.iloc[rows].astype(str).tolist(), count, rng)
        else:
            contents[name] = _drawn(foreign, count, rng)
    labels = rng.integers(0, n_classes, count)
    ids = [f"{suite}-{number}" for number in range(count)]
    about: dict[str, Any] = {"example_id": pd.Series(ids, dtype="str"), "label": labels}
    if "true_label" in examples:
        about["true_label"] = UNKNOWN
    return pd.DataFrame({**about, "is_noisy": False, "is_probe": True, **contents})


def _drawn(foreign: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    if len(foreign) < count:
        raise DatassayError(
            f"probes.foreign: {len(foreign)} sentences, {count} are needed: give more or lower probes.size"
        )
    return [foreign[place] for place in rng.choice(len(foreign), count, replace=False)]


def _unused(foreign: Sequence[str], made: "pd.DataFrame") -> list[str]:
    """Return the sentences that no probe holds, so that what is never learnt is new to the model."""
    used = {text for name in CONTENT if name in made for text in made[name]}
    return [sentence for sentence in foreign if sentence not in used]


def _unseen_counts(settings: Probes, size: int) -> dict[str, int]:
    suites = [suite for suite in STRANGE if suite in settings.suites]
    total = size if settings.unseen is None else settings.unseen
    return {suite: total // len(suites) + (place < total % len(suites)) for place, suite in enumerate(suites)}


def _unseen(
    examples: "pd.DataFrame", suite: str, count: int, foreign: Sequence[str], n_classes: int, rng: np.random.Generator
) -> "pd.DataFrame":
    """Return rows out of distribution that no model learns from: sketches of test images, random or foreign content."""
    train, test = (np.flatnonzero((examples["split"] == name).to_numpy()) for name in ("train", "test"))
    new = _made(examples, train, suite, count, foreign, n_classes, rng)
    if suite == "out_of_distribution" and "image" in examples:
        rows = rng.choice(test if len(test) else train, count, replace=len(test) < count)
        sketches: Any = [_encoded(pencil_sketch(read_image(image))) for image in examples["image"].iloc[rows]]
        new = new.assign(image=sketches, label=examples["label"].to_numpy()[rows])
    return new.assign(example_id=[f"unseen-{name}" for name in new["example_id"]])
