"""Arrays, texts and thumbnails as text that a script of the page can read."""

import base64
import io
import json
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.data.images import open_image

if TYPE_CHECKING:
    from PIL import Image

SHEET = 1024  # side of a sheet of thumbnails, pixels
BLANK = (226, 229, 233)


def pack_array(array: np.ndarray) -> str:
    """Return an array's little-endian bytes, first bytes of all items first, deflated, in base64.

    Bytes of one place resemble each other (signs and exponents above all), which deflate needs.
    """
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    planes = plain.view(np.uint8).reshape(-1, plain.dtype.itemsize).T
    return _base64(zlib.compress(planes.tobytes(), 6))


def pack_json(content: Any) -> str:
    """Return JSON, deflated, in base64: nothing in it can end a script or a page."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _base64(zlib.compress(text.encode("utf-8"), 6))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def thumbnail_side(images: Sequence[Any], most: int) -> int:
    """Return the side of a thumbnail: `most`, or less where no image is as large."""
    sides = [1]
    for image in images:
        try:
            with open_image(image["bytes"]) as opened:
                sides.append(max(opened.size))
        except Exception:  # Pillow raises many kinds on a damaged file; the data step has reported it
            continue
        if sides[-1] >= most:
            return most
    return max(sides)


def pack_thumbnails(images: Sequence[Any], side: int) -> list[str]:
    """Return sheets of thumbnails in base64 WebP, side by side in the order of the rows.

    images: {"bytes", "path"} each. A sheet has (SHEET // side)^2 of them. They keep their aspect; a damaged image is
    blank. Without loss up to 16 pixels, where the loss would show. One sheet is in memory at a time.
    """
    from PIL import Image

    across = max(1, SHEET // side)
    sheets = []
    for start in range(0, len(images), across**2):
        part = images[start : start + across**2]
        height = -(-len(part) // across) * side
        sheet = Image.new("RGB", (across * side, height), BLANK)
        for place, image in enumerate(part):
            tile = _tile(image, side)
            if tile is not None:
                x, y = place % across * side, place // across * side
                sheet.paste(tile, (x + (side - tile.width) // 2, y + (side - tile.height) // 2))
        buffer = io.BytesIO()
        sheet.save(buffer, format="WEBP", quality=75, method=4, lossless=side <= 16)
        sheets.append(_base64(buffer.getvalue()))
    return sheets


def _tile(image: Any, side: int) -> "Image.Image | None":
    from PIL import Image, ImageOps

    try:
        with open_image(image["bytes"]) as opened:
            opened.draft("RGB", (side, side))
            tile = ImageOps.exif_transpose(opened)
            if tile.mode.startswith("I"):
                tile = Image.fromarray((np.asarray(tile) / 257).astype(np.uint8))
            if tile.has_transparency_data:
                opaque = Image.new("RGBA", tile.size, "white")
                opaque.alpha_composite(tile.convert("RGBA"))
                tile = opaque
            tile = tile.convert("RGB")
            tile.thumbnail((side, side), Image.Resampling.LANCZOS)
            return tile
    except Exception:  # Pillow raises many kinds on a damaged file; the data step has reported it
        return None
