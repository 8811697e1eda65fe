"""What of the pool is not worth a person's time: copies, noise, other languages. Every filter is a switch."""

import hashlib
import logging
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.config import PoolFilters
from datassay.data.source import POOL

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

REPETITIONS = 5
SURE = 0.5  # probability from which a language counts as recognised
BLOCK = 1024


def filter_pool(
    examples: "pd.DataFrame",
    settings: PoolFilters,
    vectors: np.ndarray | None = None,
    log_likelihood: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, dict[str, int]]]:
    """Return which filter removes each row of the pool, object [P] ("" for none), and what every filter finds.

    examples: N rows with split and text (text_b) or image, of which P are in the pool. vectors: [N, d] of the encoder,
    for near duplicates. log_likelihood: [P], mean log-probability (nats) of a token, for the perplexity.
    Filters run in the order of PoolFilters; a row is removed by the first that finds it. Of copies within the pool the
    first row stays. counts: filter -> found (rows it would remove alone), removed.

    Near duplicates take O(P (N + P) d) time, all others grow with the length of the texts; a filter that is off, and
    one of texts where the examples are images, costs nothing.
    """
    pool = (examples["split"] == POOL).to_numpy()
    removed = np.full(int(pool.sum()), "", dtype=object)
    counts: dict[str, dict[str, int]] = {}
    texts = examples["text"].astype(str) if "text" in examples else None
    if texts is not None and "text_b" in examples:
        texts = texts + "\n" + examples["text_b"].astype(str)
    checks: dict[str, Callable[[], np.ndarray] | None] = {"exact_duplicates": None}
    if settings.exact_duplicates:
        checks["exact_duplicates"] = lambda: exact_duplicates(examples, pool)
    if texts is not None:
        checks |= _text_checks(texts[pool].tolist(), settings)
    if settings.max_perplexity is not None and log_likelihood is not None:
        checks["max_perplexity"] = lambda: np.exp(-log_likelihood.astype(np.float64)) > settings.max_perplexity
    for name, check in checks.items():
        if check is not None:
            _apply(name, check(), removed, counts)
    if settings.near_duplicates is not None and vectors is not None:
        _apply(
            "near_duplicates", near_duplicates(vectors, pool, removed == "", settings.near_duplicates), removed, counts
        )
    for name, count in counts.items():
        logger.info(
            "filter %s: %d of %d rows, %d of them removed by it", name, count["found"], len(removed), count["removed"]
        )
    return removed, counts


def _apply(name: str, found: np.ndarray, removed: np.ndarray, counts: dict[str, dict[str, int]]) -> None:
    first = found & (removed == "")
    removed[first] = name
    counts[name] = {"found": int(found.sum()), "removed": int(first.sum())}


def _text_checks(texts: list[str], settings: PoolFilters) -> dict[str, Callable[[], np.ndarray] | None]:
    low, high, allowed = settings.min_length, settings.max_length, settings.languages
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return {
        "min_length": (lambda: lengths < low) if low is not None else None,
        "max_length": (lambda: lengths > high) if high is not None else None,
        "emoji": (lambda: with_emoji(texts)) if settings.emoji else None,
        "repetition": (lambda: with_repetition(texts)) if settings.repetition else None,
        "languages": (lambda: in_other_language(texts, allowed)) if allowed else None,
    }


def exact_duplicates(examples: "pd.DataFrame", pool: np.ndarray) -> np.ndarray:
    """Return which rows of the pool hold what a row outside it or an earlier one of the pool holds, bool [P].

    Texts are equal up to case, white space and compatible forms (NFKC); images where their files are.
    """
    keys = [_content_key(row) for row in _contents(examples)]
    seen = {key for key, inside in zip(keys, pool, strict=True) if not inside}
    found = []
    for key in (key for key, inside in zip(keys, pool, strict=True) if inside):
        found.append(key in seen)
        seen.add(key)
    return np.array(found, dtype=bool)


def _contents(examples: "pd.DataFrame") -> Iterable[tuple[Any, ...]]:
    return zip(*(examples[name] for name in ("text", "text_b", "image") if name in examples), strict=True)


def _content_key(row: tuple[Any, ...]) -> bytes:
    digest = hashlib.sha256()
    for part in row:
        digest.update(part["bytes"] if isinstance(part, dict) else normalised(str(part)).encode("utf-8", "replace"))
        digest.update(b"\0")
    return digest.digest()


def normalised(text: str) -> str:
    """Return a text without what does not make it another one: case, white space, compatible forms of characters."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def with_emoji(texts: Iterable[str]) -> np.ndarray:
    """Return which texts hold a character that is shown as an emoji (Unicode TS 51: by default, or as requested)."""
    import regex

    pattern = regex.compile(r"\p{Emoji_Presentation}|\p{Emoji}\uFE0F")
    return np.array([pattern.search(text) is not None for text in texts], dtype=bool)


def with_repetition(texts: Iterable[str]) -> np.ndarray:
    """Return in which texts some part stands five times or more in a row, with or without space in between."""
    from datassay.annotation._kernels import repeats

    codes = (np.frombuffer((" ".join(text.split()) + " ").encode("utf-32-le", "replace"), np.uint32) for text in texts)
    return np.array([repeats(code, REPETITIONS) for code in codes], dtype=bool)


def in_other_language(texts: Iterable[str], allowed: Sequence[str]) -> np.ndarray:
    """Return which texts are surely (p >= 0.5) in none of the languages (ISO 639-1), by py3langid."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    found = [identifier.classify(text) for text in texts]
    return np.array([language not in allowed and p >= SURE for language, p in found], dtype=bool)


def near_duplicates(vectors: np.ndarray, pool: np.ndarray, kept: np.ndarray, least: float) -> np.ndarray:
    """Return which rows of the pool are as similar as `least` to a row outside it or to an earlier one that stays.

    vectors: [N, d]. pool: bool [N]. kept: bool [P], rows of the pool that other filters leave; the others are neither
    looked at nor compared with. least: cosine. Returns bool [P]. O(P (N + P) d) time in blocks, O(P d) memory.
    """
    from datassay.compute import one_thread
    from datassay.selection.arrays import unit_float32

    others, rows = np.flatnonzero(~pool), np.flatnonzero(pool)[kept]
    own = unit_float32(np.asarray(vectors[rows]))
    near = np.zeros(len(rows), dtype=bool)
    with one_thread():
        for start in range(0, len(others), BLOCK):
            base = unit_float32(np.asarray(vectors[others[start : start + BLOCK]]))
            for first in range(0, len(own), BLOCK):
                part = slice(first, first + BLOCK)
                near[part] |= (own[part] @ base.T >= least).any(axis=1)
        for first in range(0, len(own), BLOCK):
            _compare_with_earlier(own, near, first, least)
    found = np.zeros(len(kept), dtype=bool)
    found[np.flatnonzero(kept)[near]] = True
    return found


def _compare_with_earlier(own: np.ndarray, near: np.ndarray, first: int, least: float) -> None:
    """Mark the rows of the block at `first` that are near an earlier row that is not marked itself."""
    last = min(first + BLOCK, len(own))
    for start in range(0, first, BLOCK):
        earlier = np.flatnonzero(~near[start : start + BLOCK]) + start
        near[first:last] |= (own[first:last] @ own[earlier].T >= least).any(axis=1)
    alike = own[first:last] @ own[first:last].T >= least
    for row in range(last - first):
        if not near[first + row] and alike[row, :row][~near[first : first + row]].any():
            near[first + row] = True
