"""Data sets: every source to one table of examples and a card that describes it."""

from datassay.data.images import decode_images
from datassay.data.preparation import prepare

__all__ = ["decode_images", "prepare"]
