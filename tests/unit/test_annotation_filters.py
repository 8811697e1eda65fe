"""Filters of the pool, each against its definition written the slow way."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datassay.annotation.filters import (
    exact_duplicates,
    filter_pool,
    in_other_language,
    near_duplicates,
    with_emoji,
    with_repetition,
)
from datassay.config import PoolFilters
from datassay.data.images import encode_png
from datassay.randomness import generator
from datassay.selection.arrays import unit_float32

OFF = {"exact_duplicates": False, "near_duplicates": None}


def examples(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["split", "text"])


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="ab c", max_size=40))
def test_repetition_is_what_a_backtracking_expression_finds(text: str) -> None:
    collapsed = " ".join(text.split()) + " "
    assert with_repetition([text])[0] == (re.search(r"(.+?)\1{4}", collapsed) is not None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("hahahahaha", True), ("haHahahaha", False), ("good " * 5, True), ("good " * 4, False), ("good, " * 6, True), ("no!!!!!", True), ("", False),
     ("x" * 4, False), ("begin " + "a long passage. " * 5 + "end", True), ("\U0001f642" * 5, True)],
)  # fmt: skip
def test_repetitions(text: str, expected: bool) -> None:
    assert with_repetition([text])[0] == expected


def test_a_text_of_a_million_characters() -> None:
    """Two walks through many letters, woven into each other: nothing in them stands five times in a row."""
    text = "".join(chr(0x4E00 + n % 997) + chr(0x4E00 + (n * 7) % 991) for n in range(500_000))
    assert with_repetition([text, text[:400_000] + "qwertz" * 5 + text[400_000:]]).tolist() == [False, True]


def test_emoji() -> None:
    texts = [
        "fine",
        "smile \U0001f600",
        "digit 1 # *",
        "keycap 1️⃣",
        "heart ❤",
        "red heart ❤️",
        "flag \U0001f1e9\U0001f1ea",
        "© ™ ↔",
    ]
    assert with_emoji(texts).tolist() == [False, True, False, True, False, True, True, False]


def test_languages() -> None:
    texts = [
        "The committee will publish its decision on the new railway line next week.",
        "Der Ausschuss wird seine Entscheidung über die neue Bahnstrecke nächste Woche veröffentlichen.",
        "La comisión publicará la próxima semana su decisión sobre la nueva línea de ferrocarril.",
        "ok",
    ]
    assert in_other_language(texts, ["en"]).tolist() == [False, True, True, False]
    assert in_other_language(texts, ["de", "es"]).tolist() == [True, False, False, False]


def test_exact_duplicates_of_other_splits_and_of_earlier_rows() -> None:
    table = examples(("train", "One  text"), ("pool", "one text"), ("pool", "two"), ("test", "Three"), ("pool", "Two\n"),
                     ("pool", "ｔｈｒｅｅ"), ("pool", "four"))  # fmt: skip
    found = exact_duplicates(table, (table["split"] == "pool").to_numpy())
    assert found.tolist() == [True, False, True, True, False]
    pairs = table.assign(text_b=[*"abcdefg"])
    assert not exact_duplicates(pairs, (table["split"] == "pool").to_numpy()).any()


def test_images_are_copies_where_their_files_are() -> None:
    files = [encode_png(np.full((2, 2), n, dtype=np.uint8)) for n in (0, 0, 1)]
    table = pd.DataFrame({"split": ["train", "pool", "pool"], "image": [{"bytes": f, "path": ""} for f in files]})
    removed, counts = filter_pool(table, PoolFilters(emoji=True, min_length=3, near_duplicates=None))
    assert removed.tolist() == ["exact_duplicates", ""]
    assert counts == {"exact_duplicates": {"found": 1, "removed": 1}}


@pytest.mark.parametrize("block", [3, 1024])
def test_near_duplicates_are_those_of_a_loop(monkeypatch, block: int) -> None:
    monkeypatch.setattr("datassay.annotation.filters.BLOCK", block)
    rng = generator(3, "near")
    vectors = rng.normal(size=(60, 4)).astype(np.float32) * rng.uniform(0.1, 9, (60, 1)).astype(np.float32)
    pool, kept = rng.random(60) < 0.7, rng.random(60) < 0.8
    kept = kept[pool]
    unit = unit_float32(vectors)
    staying, expected = list(np.flatnonzero(~pool)), []
    for row, looked_at in zip(np.flatnonzero(pool), kept, strict=True):
        near = looked_at and any(unit[row] @ unit[other] >= 0.9 for other in staying)
        expected.append(bool(near))
        if looked_at and not near:
            staying.append(row)
    found = near_duplicates(vectors, pool, kept, 0.9)
    assert found.tolist() == expected and 5 < sum(expected) < sum(kept) - 5


def test_every_filter_is_a_switch_and_says_what_it_found() -> None:
    table = examples(("train", "known text here"), ("pool", "known text here"), ("pool", "hi"), ("pool", "hahahahahaha"),
                     ("pool", "what a lovely day it was \U0001f600"), ("pool", "x" * 60), ("pool", "fine as it is"))  # fmt: skip
    vectors = np.eye(7, dtype=np.float32)
    everything = PoolFilters(
        min_length=3, max_length=50, emoji=True, repetition=True, max_perplexity=1000, near_duplicates=0.9
    )
    likelihood = np.array([-1, -1, -8, -1, -1, -1], dtype=np.float32)
    vectors[6] = vectors[0]
    removed, counts = filter_pool(table, everything, vectors, likelihood)
    assert removed.tolist() == [
        "exact_duplicates",
        "min_length",
        "repetition",
        "emoji",
        "max_length",
        "near_duplicates",
    ]
    assert counts["max_perplexity"] == {"found": 1, "removed": 0}, "another filter had removed it already"
    assert counts["repetition"] == {"found": 2, "removed": 1}
    removed, counts = filter_pool(table, PoolFilters(**OFF), vectors, likelihood)
    assert not removed.any() and counts == {}
