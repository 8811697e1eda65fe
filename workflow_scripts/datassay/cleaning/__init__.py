"""Cleaning: which examples to drop by a value or a measure, and what a model gains without them."""

from datassay.cleaning.curves import areas, removal_curves
from datassay.cleaning.nearest import knn_accuracies
from datassay.cleaning.rules import decide, keep_by_share, keep_by_threshold, known_wrong
from datassay.cleaning.summary import by_seed, summarise

__all__ = [
    "areas",
    "by_seed",
    "decide",
    "keep_by_share",
    "keep_by_threshold",
    "knn_accuracies",
    "known_wrong",
    "removal_curves",
    "summarise",
]
