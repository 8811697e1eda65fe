"""Image encoder: a vision model of transformers, with resizing and normalisation by Pillow and NumPy."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from transformers import AutoModel
from transformers.image_processing_base import ImageProcessingMixin

from datassay.config import Encoder
from datassay.encoders.backbones import OWN_CODE_ONLY, loading, model_source, resolve_precision

if TYPE_CHECKING:
    import pandas as pd

    from datassay.encoders import Encode

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def vision_encoder(examples: "pd.DataFrame", settings: Encoder) -> "Encode":
    """Return rows -> float32 [n, d]: the pooled output where the model was trained with one, else the global mean.

    Images are prepared as the model knows them, see `image_format`.
    """
    from datassay.data.images import decode_images

    source = model_source(settings.model)
    with loading(settings.model):
        model, report = AutoModel.from_pretrained(
            source, revision=settings.revision, dtype=torch.float32, output_loading_info=True, **OWN_CODE_ONLY
        )
        form = image_format(source, settings.revision, model.config, settings.image_size)
    model = getattr(model, "vision_model", model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if resolve_precision(settings.precision) == "bf16" else torch.float32
    model.to(device, dtype).eval()
    pooled = not any("pooler" in key for key in report["missing_keys"])
    mean, std = (np.array(values, np.float32) for values in (form.mean, form.std))
    images = examples["image"]

    def encode(rows: np.ndarray) -> np.ndarray:
        vectors = []
        for start in range(0, len(rows), settings.batch_size):
            pixels = decode_images(images.iloc[rows[start : start + settings.batch_size]], form.side)
            inputs = torch.from_numpy((pixels.astype(np.float32) / 255 - mean) / std).permute(0, 3, 1, 2)
            with torch.inference_mode():
                out = model(pixel_values=inputs.to(device, dtype))
            vectors.append(_pool(out, pooled).float().cpu().numpy())
        return np.concatenate(vectors)

    return encode


def _pool(out: Any, pooled: bool) -> torch.Tensor:
    hidden = out.last_hidden_state
    if pooled and getattr(out, "pooler_output", None) is not None:
        return out.pooler_output.flatten(1)
    return hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.mean(dim=1)


class ImageFormat(NamedTuple):
    """What a vision model takes: side in pixels, mean and standard deviation of the pixels in [0, 1] per colour."""

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def image_format(source: str, revision: str | None, config: Any, default_side: int) -> ImageFormat:
    """Return what a model was trained with.

    The side is its processor's, else its config's, else `default_side`; mean and deviation are the processor's, else
    those of ImageNet. The whole image is resized to the square: nothing is cut off, the aspect ratio is not kept.
    """
    try:
        processor = ImageProcessingMixin.get_image_processor_dict(source, revision=revision)[0]
    except OSError:
        processor = {}
    mean, std = processor.get("image_mean") or IMAGENET_MEAN, processor.get("image_std") or IMAGENET_STD
    if processor.get("do_normalize") is False:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return ImageFormat(_side(processor, config, default_side), tuple(mean), tuple(std))


def _side(processor: dict[str, Any], config: Any, default: int) -> int:
    for size in (processor.get("crop_size"), processor.get("size"), getattr(config, "image_size", None)):
        if isinstance(size, dict):
            size = size.get("height") or size.get("shortest_edge")
        if isinstance(size, list | tuple):
            size = size[0]
        if isinstance(size, int):
            return size
    return default
