"""Images of every form become the same pixels; damaged ones are refused before anything is computed from them."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datassay.data.images import SUFFIXES, decode_images, encode_png, inspect_image, to_encoded
from datassay.errors import DatassayError
from datassay.randomness import generator

COLOUR = generator(0).integers(0, 256, (8, 6, 3)).astype(np.uint8)
GREY = COLOUR[:, :, 0]


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def test_pixels_are_kept() -> None:
    square = COLOUR[:6]
    column = [encode_png(square), {"bytes": encode_png(square[:, :, 0]), "path": ""}]
    pixels = decode_images(column, 6)
    assert pixels.shape == (2, 6, 6, 3) and pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[0], square)
    np.testing.assert_array_equal(pixels[1], np.repeat(square[:, :, :1], 3, axis=2))
    grey = decode_images(column, 6, mode="L")
    expected = np.rint(square @ [0.299, 0.587, 0.114])
    assert np.abs(grey[0].astype(float) - expected[:, :, None]).max() <= 1
    assert decode_images([], 6).shape == (0, 6, 6, 3)


def test_resizing_is_bilinear() -> None:
    """Halving with Pillow's bilinear filter: weights 1, 3, 3, 1 (over 8) in both directions, away from the edges."""
    image = generator(1).integers(0, 256, (16, 16)).astype(np.uint8)
    small = decode_images([encode_png(image)], 8)[0, :, :, 0]
    weights = np.array([1, 3, 3, 1]) / 8
    for y, x in ((1, 1), (3, 5), (6, 6)):
        window = image[2 * y - 1 : 2 * y + 3, 2 * x - 1 : 2 * x + 3]
        assert abs(weights @ window @ weights - small[y, x]) <= 1


def test_transparency_depth_and_orientation() -> None:
    clear = np.dstack([COLOUR, np.zeros((8, 6), np.uint8)])
    assert (decode_images([encode_png(clear)], 8) == 255).all()
    deep = (GREY[:6].astype(np.uint16)) * 257
    np.testing.assert_array_equal(decode_images([encoded(Image.fromarray(deep))], 6)[0, :, :, 0], GREY[:6])
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side, to be turned clockwise
    turned = encoded(Image.fromarray(COLOUR[:6]), exif=exif)
    np.testing.assert_array_equal(decode_images([turned], 6)[0], np.rot90(COLOUR[:6], k=-1))


@pytest.mark.parametrize(
    "value",
    [
        COLOUR, COLOUR.tolist(), COLOUR.astype(np.int64), COLOUR.astype(np.float32), COLOUR.transpose(2, 0, 1),
        np.array([np.array([*row.tolist(), []], dtype=object)[:-1] for row in COLOUR], dtype=object),
    ],
)  # fmt: skip
def test_arrays(value: Any) -> None:
    content = to_encoded(value, None)["bytes"]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), COLOUR)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (COLOUR / 255, "whole numbers 0 to 255"),
        (COLOUR.astype(int) - 200, "whole numbers 0 to 255"),
        (COLOUR[:, :, :2], r"array of shape \(8, 6, 2\)"),
        (np.arange(4), r"array of shape \(4,\)"),
        (None, "no image"),
        (b"", "no image"),
        ({"bytes": None, "path": None}, "no image"),
        ("a.png", "found the path 'a.png', this source needs the image itself"),
    ],
)
def test_what_is_no_image(value: Any, message: str) -> None:
    with pytest.raises(DatassayError, match=message):
        to_encoded(value, None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_formats_and_cut_files(kind: str) -> None:
    noise = generator(2).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    content = encoded(Image.fromarray(noise), kind)
    assert inspect_image(content) == (30, 40, kind)
    assert ("." + kind.lower()) in SUFFIXES
    for size in (0, 1, len(content) // 2):
        with pytest.raises(DatassayError, match=r"not an image|damaged image") as caught:
            inspect_image(content[:size])
        assert "\n" not in str(caught.value)
        with pytest.raises(DatassayError, match="image 1 of 2: "):
            decode_images([content, content[:size]], 8)


def test_bombs_and_other_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode_png(COLOUR)
    for limit in (47, 20):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DatassayError, match=f"too large an image .more than {limit} pixels"):
            inspect_image(content)
    monkeypatch.undo()
    with pytest.raises(DatassayError, match="not an image, allowed: PNG"):
        inspect_image(encoded(Image.fromarray(COLOUR), "ICO"))
