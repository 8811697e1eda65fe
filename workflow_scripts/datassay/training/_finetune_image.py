"""Recipe finetune_image: an image classifier of transformers, fed by Pillow, NumPy and torch alone (no torchvision)."""

import inspect
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import affine_grid, grid_sample, interpolate
from transformers import AutoConfig, AutoModelForImageClassification
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from datassay.config import FinetuneImage
from datassay.data.images import decode_images, open_image
from datassay.encoders._vision import ImageFormat, image_format
from datassay.encoders.backbones import OWN_CODE_ONLY, loading, model_source
from datassay.errors import DatassayError
from datassay.training._frozen import find_parts, freeze
from datassay.training._objective import Objective
from datassay.training._recipes import Build, Inputs, Task, last_linear

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

CACHE_BYTES = 2 << 30  # decoded images kept in memory at most
SMALLEST_CROP = 0.25  # of the area
USUAL_SIDE = 224


def finetune_image(examples: "pd.DataFrame", objective: Objective, settings: FinetuneImage) -> Build:
    """Decode the images once, if they fit into memory; return what builds a fresh classifier with its frozen parts."""
    if "image" not in examples.columns:
        raise DatassayError(f"model '{settings.name}': the finetune_image recipe needs a column 'image', there is none")
    source = model_source(settings.backbone)
    with loading(settings.backbone):
        config = AutoConfig.from_pretrained(source, revision=settings.revision, **OWN_CODE_ONLY)
        config.update(objective.names)
        form = image_format(source, settings.revision, config, USUAL_SIDE)
    form = form._replace(side=settings.image_size or form.side)
    pixels = Pixels(examples["image"], form.side)

    def build(device: torch.device) -> Task:
        model = _classifier(source, config, settings).to(device, memory_format=torch.channels_last)
        head = last_linear(model)
        _add_dropout(head, settings.dropout)
        frozen = freeze(find_parts(model), settings) if settings.freeze_embeddings or settings.freeze_layers else []
        resized = form.side != getattr(config, "image_size", form.side)
        flags: dict[str, Any] = {"interpolate_pos_encoding": True} if resized and _interpolates(model) else {}

        def inputs(rows: np.ndarray, rng: np.random.Generator | None) -> Inputs:
            images = torch.from_numpy(pixels[rows]).to(device).permute(0, 3, 1, 2).float()
            view = random_crops(len(rows), rng) if rng is not None and settings.augment else None
            return {"pixel_values": standardised(images, form, view), **flags}

        def portable() -> list[Any]:
            side = {"height": form.side, "width": form.side}
            return [model.cpu(), ViTImageProcessorPil(size=side, image_mean=[*form.mean], image_std=[*form.std])]

        return Task(model, inputs, head, frozen, portable=portable, top=None if _drops(config) else head)

    return build


class Pixels:
    """Decoded images by row: uint8 [n, s, s, 3], s the side that is asked for, or that of the largest image if smaller.

    Kept in memory where all of them take at most CACHE_BYTES, else decoded whenever they are needed.
    """

    def __init__(self, images: "pd.Series", side: int) -> None:
        self.images = images
        largest = max((max(open_image(image["bytes"]).size) for image in images), default=side)
        self.side = min(side, largest)
        needed = 3 * len(images) * self.side**2
        self.decoded = decode_images(images, self.side) if needed <= CACHE_BYTES else None
        if self.decoded is None:
            logger.info("decoded images would take %d MB, they are decoded in every pass", needed >> 20)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return decode_images(self.images.iloc[rows], self.side) if self.decoded is None else self.decoded[rows]


def random_crops(n: int, rng: np.random.Generator) -> torch.Tensor:
    """Return n affine maps float32 [n, 2, 3] from a square to a part of an image, half of them flipped left to right.

    A part is a quarter to all of the area (uniform), its sides in a ratio of 3/4 to 4/3, as far as it fits.
    """
    area, ratio = rng.uniform(SMALLEST_CROP, 1, n), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), n))
    width, height = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
    x, y = rng.uniform(width - 1, 1 - width), rng.uniform(height - 1, 1 - height)
    maps = np.zeros((n, 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 0, 2] = width * rng.choice([-1, 1], n), x
    maps[:, 1, 1], maps[:, 1, 2] = height, y
    return torch.from_numpy(maps)


def standardised(images: torch.Tensor, form: ImageFormat, view: torch.Tensor | None = None) -> torch.Tensor:
    """Return images (0 to 255, float32 [n, 3, s, s]) as the model takes them: [n, 3, side, side], mean 0, deviation 1.

    view: what part of each image to show, see `random_crops`; None: all of it.
    """
    if view is not None:
        grid = affine_grid(view.to(images.device), [len(images), 3, form.side, form.side], align_corners=False)
        images = grid_sample(images, grid, padding_mode="border", align_corners=False)
    elif images.shape[-1] != form.side:
        images = interpolate(images, (form.side, form.side), mode="bilinear", align_corners=False)
    mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in (form.mean, form.std))
    return (images / 255 - mean) / std


def _classifier(source: str, config: Any, settings: FinetuneImage) -> Any:
    """Return the pretrained model with a new last layer, or random weights; warn of others that start at random."""
    if not settings.pretrained:
        return AutoModelForImageClassification.from_config(config)
    with loading(settings.backbone):
        model, report = AutoModelForImageClassification.from_pretrained(
            source,
            config=config,
            revision=settings.revision,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **OWN_CODE_ONLY,
        )
    head = [name for name, module in model.named_modules() if module is last_linear(model)]
    fresh = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    fresh = [key for key in fresh if not key.startswith(tuple(head))]
    if fresh:
        where = (settings.name, len(fresh), fresh[0])
        logger.warning("model '%s': %d weights are not pretrained, the first is %s", *where)
    return model


def _add_dropout(head: nn.Linear, share: float) -> None:
    """Drop inputs of the last layer while training; the names of the weights stay as transformers knows them."""
    head.add_module("dropout", nn.Dropout(share))
    head.register_forward_pre_hook(lambda module, args: (module.dropout(args[0]),))


def _drops(config: Any) -> bool:
    """Whether the backbone has dropout of its own, of units or of whole layers."""
    shares = [value for key, value in config.to_dict().items() if "drop" in key and not isinstance(value, bool)]
    return any(isinstance(share, int | float) and share > 0 for share in shares)


def _interpolates(model: Any) -> bool:
    return "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
