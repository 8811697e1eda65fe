"""Data sets: every source to one table of examples and a card that describes it."""

from datassay.data.images import decode_images
from datassay.data.preparation import load_examples, prepare

__all__ = ["decode_images", "load_examples", "prepare"]
