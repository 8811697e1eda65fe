"""Images in and out of tables: any form to encoded bytes, encoded bytes to pixels, and every image opened once.

A table holds an image as {"bytes": encoded file, "path": where it came from}, the form of the Image feature of
`datasets`.
"""

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from datassay.errors import DatassayError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


class ImageInfo(NamedTuple):
    """What the header of an image says."""

    width: int
    height: int
    format: str


def decode_images(images: Iterable[Any], size: int, mode: str = "RGB") -> np.ndarray:
    """Decode a column of images to pixels.

    images: one {"bytes", "path"} mapping or encoded file (bytes) each, for example a column of examples.parquet.
    size: side in pixels; other sizes are resized (bilinear), which does not keep the aspect ratio.
    mode: "RGB", or "L" to take the colour away. Grey is repeated over the three channels; what is transparent
    becomes white.

    Returns uint8 [N, size, size, 3]. One image is decoded at a time: memory is that of the result (3 N size^2
    bytes), so that large sets are to be decoded in slices of rows. Raises DatassayError for a damaged image.
    """
    column = list(images)
    pixels = np.empty((len(column), size, size, 3), dtype=np.uint8)
    for row, image in enumerate(column):
        try:
            with open_image(image["bytes"] if isinstance(image, Mapping) else image) as opened:
                pixels[row] = _pixels(opened, size, mode)
        except Exception as error:  # Pillow raises many kinds on a damaged file
            raise DatassayError(f"image {row} of {len(column)}: {_reason(error)}") from error
    return pixels


def read_image(image: Any) -> np.ndarray:
    """Return the pixels of one image, {"bytes", "path"} or encoded bytes, in its own size: uint8 [h, w, 3]."""
    try:
        with open_image(image["bytes"] if isinstance(image, Mapping) else image) as opened:
            return _pixels(opened, None, "RGB")
    except Exception as error:  # Pillow raises many kinds on a damaged file
        raise DatassayError(_reason(error)) from error


def open_image(content: bytes) -> "Image.Image":
    """Open an encoded image of one of FORMATS; one too large to be safe (a decompression bomb) is refused."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content), formats=FORMATS)


def inspect_image(content: bytes) -> ImageInfo:
    """Read an encoded image to its end and return size and format; raises DatassayError where it is damaged.

    A JPEG is decoded at an eighth of its size, which reads the whole file at a fraction of the time.
    """
    try:
        with open_image(content) as image:
            info = ImageInfo(*image.size, image.format or "")
            image.draft(None, (1, 1))
            image.load()
    except Exception as error:  # Pillow raises many kinds on a damaged file
        raise DatassayError(_reason(error)) from error
    return info


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 [h, w] (grey) or [h, w, 3] (RGB) or [h, w, 4] (with alpha) pixels as PNG, without loss."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def to_encoded(value: Any, folder: Path | None) -> dict[str, Any]:
    """Return {"bytes", "path"} of an image given as bytes, path, {"bytes", "path"} mapping, PIL image or array.

    folder: where relative paths start and which they must not leave; None where paths are not allowed.
    Raises DatassayError with the reason (the caller knows file and row).
    """
    if isinstance(value, Mapping):
        path = value.get("path") or ""
        return {"bytes": bytes(value["bytes"]), "path": path} if value.get("bytes") else to_encoded(path, folder)
    if isinstance(value, bytes | bytearray | memoryview) and len(value):
        return {"bytes": bytes(value), "path": ""}
    if isinstance(value, str) and value:
        return {"bytes": _read_inside(value, folder), "path": value}
    if isinstance(value, np.ndarray | Sequence) and len(value):
        return {"bytes": encode_png(_as_pixels(value)), "path": ""}
    raise DatassayError("no image")


def _read_inside(path: str, folder: Path | None) -> bytes:
    if folder is None:
        raise DatassayError(f"found the path '{path}', this source needs the image itself (encoded bytes)")
    if "\0" in path:
        raise DatassayError("the path holds a NUL character")
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise DatassayError(f"the path '{path}' leaves the folder of the data, put the images beside or below the file")
    try:
        return target.read_bytes()
    except OSError as error:
        raise DatassayError(f"no readable image '{path}' ({error.strerror})") from error


def _as_pixels(value: Any) -> np.ndarray:
    """Return uint8 pixels [h, w] or [h, w, 3 or 4] of an array that may be nested, channels first, or of wide type."""
    array = np.array(_nested_lists(value))
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4) and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype.kind not in "biuf" or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise DatassayError(f"array of shape {array.shape}, allowed: [h, w], [h, w, 3] or [3, h, w]")
    if not ((array >= 0) & (array <= 255) & (array == np.floor(array))).all():
        raise DatassayError("array with values other than the whole numbers 0 to 255")
    return np.ascontiguousarray(array.astype(np.uint8))


def _nested_lists(value: Any) -> Any:
    """Undo the arrays of arrays that parquet readers make of nested lists."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    return [_nested_lists(item) for item in value] if isinstance(value, np.ndarray | list | tuple) else value


def _pixels(image: "Image.Image", size: int | None, mode: str) -> np.ndarray:
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    image = image.convert("L" if image.mode == "L" else mode)
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2)


def _reason(error: Exception) -> str:
    from PIL import Image

    if isinstance(error, DatassayError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too large an image (more than {Image.MAX_IMAGE_PIXELS} pixels), make it smaller"
    if isinstance(error, Image.UnidentifiedImageError):
        return f"not an image, allowed: {', '.join(FORMATS)}; remove or replace it"
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"damaged image ({reason}), remove or replace it"
