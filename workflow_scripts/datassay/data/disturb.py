"""What probes are made of: noisy images and texts, pencil sketches, random content."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL_SIDE = 64  # up to here images count as small: CIFAR's values, above ImageNet's
PIXEL_NOISE = {True: 0.1, False: 0.25}
BLUR_SIDE = {True: 7, False: 21}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def is_small(pixels: np.ndarray) -> bool:
    """Return whether an image [h, w, 3] counts as small."""
    return max(pixels.shape[:2]) <= SMALL_SIDE


def noisy_image(pixels: np.ndarray, sigma: float | None, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 [h, w, 3] plus Gaussian noise, clipped; sigma: of pixels in [0, 1], None: 0.1 or 0.25 by size.

    A grey image stays grey.
    """
    spread = PIXEL_NOISE[is_small(pixels)] if sigma is None else sigma
    noisy = pixels / 255 + spread * rng.standard_normal(_drawn_shape(pixels))
    return np.round(np.clip(noisy, 0, 1) * 255).astype(np.uint8)


def random_image(like: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 pixels clip(N(0, 1), 0, 1) in the size of an image [h, w, 3], grey where that is grey."""
    drawn = np.clip(rng.standard_normal(_drawn_shape(like)), 0, 1) * np.ones(3)
    return np.round(drawn * 255).astype(np.uint8)


def _drawn_shape(pixels: np.ndarray) -> tuple[int, ...]:
    grey = (pixels == pixels[:, :, :1]).all()
    return (*pixels.shape[:2], 1) if grey else pixels.shape


def pencil_sketch(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 [h, w, 3] as a pencil sketch: grey divided by its inverted, blurred negative (a colour dodge).

    The blur is Gaussian, 7 x 7 pixels for small images and 21 x 21 for others, of the width that OpenCV takes for it.
    """
    from scipy.ndimage import gaussian_filter

    side = BLUR_SIDE[is_small(pixels)]
    grey = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    blurred = gaussian_filter(255 - grey, 0.3 * ((side - 1) * 0.5 - 1) + 0.8, radius=side // 2, mode="mirror")
    sketch = np.clip(grey * 256 / np.maximum(255 - blurred, 1e-6), 0, 255)
    return np.repeat(np.round(sketch).astype(np.uint8)[:, :, None], 3, axis=2)


def noisy_text(text: str, share: float, rng: np.random.Generator) -> str:
    """Return a text of which a share of the words, one at least, is dropped, swapped with the next or misspelt."""
    words = text.split()
    count = min(len(words), max(1, round(share * len(words))))
    changes: list[Callable[[list[str], int], None]] = [_drop, _move, lambda words, at: _misspell(words, at, rng)]
    for place in rng.choice(len(words), count, replace=False):
        changes[rng.integers(len(changes))](words, int(place))
    kept = [word for word in words if word]
    return " ".join(kept) if kept else text


def _drop(words: list[str], place: int) -> None:
    words[place] = ""


def _move(words: list[str], place: int) -> None:
    other = place + 1 if place + 1 < len(words) else place - 1
    words[place], words[other] = words[other], words[place]


def _misspell(words: list[str], place: int, rng: np.random.Generator) -> None:
    letters = list(words[place])
    if not letters:
        return
    at = int(rng.integers(len(letters)))
    if len(letters) > 1 and rng.random() < 0.5:
        at = min(at, len(letters) - 2)
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
    else:
        letters[at] = LETTERS[rng.integers(len(LETTERS))]
    words[place] = "".join(letters)


def random_texts(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Return texts of words drawn uniformly from all that occur in `texts`, as many as one of these has."""
    vocabulary = np.array(sorted({word for text in texts for word in text.split()}), dtype=object)
    lengths = [len(texts[row].split()) for row in rng.integers(0, len(texts), count)]
    return [" ".join(vocabulary[rng.integers(0, len(vocabulary), max(length, 1))]) for length in lengths]
