"""Parts of figures that show examples: empty axes for texts, and images."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.reporting.style import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def blank_axes(part: Any) -> "Axes":
    """Return axes without ticks and frame that reach from 0 to 1."""
    axes = part.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    return axes


def show_pixels(axes: "Axes", pixels: np.ndarray | None, *, absent: bool = False) -> None:
    """Show an image, a note where it cannot be read, or nothing where there is none."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    if absent:
        axes.set_axis_off()
    elif pixels is None:
        axes.text(0.5, 0.5, "not readable", ha="center", va="center", size=7, color=GREY, transform=axes.transAxes)
    else:
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if max(pixels.shape) < 64 else None)
        axes.spines[:].set_visible(False)


def read_pixels(image: Any) -> np.ndarray | None:
    """Return the pixels of an encoded image (uint8 [h, w] or [h, w, 3]), None where it cannot be read."""
    from PIL import Image

    try:
        content = image.get("bytes") if isinstance(image, Mapping) else image
        with Image.open(io.BytesIO(content) if content else image["path"]) as opened:
            opened.thumbnail((512, 512)) if opened.format == "JPEG" else None
            return np.asarray(opened.convert("L" if opened.mode in ("1", "L", "I;16") else "RGB"))
    except Exception:  # Pillow raises many kinds on a damaged file; the data step has reported it
        return None
