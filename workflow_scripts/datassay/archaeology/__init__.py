"""Metadata archaeology: which kind of example is this, by how its loss ran (Siddiqui et al., ICLR 2023).

Pure functions on arrays; pandas and SciPy load inside the functions that need them.
"""

from datassay.archaeology.assignment import across_seeds, assign_categories, normalised_by_class
from datassay.archaeology.consistency import consistency
from datassay.archaeology.evaluation import evaluate
from datassay.archaeology.trajectories import (
    epoch_first_learned,
    epoch_learned,
    loss_trajectories,
    maximum_logits,
    sorted_logits,
)

__all__ = [
    "across_seeds",
    "assign_categories",
    "consistency",
    "epoch_first_learned",
    "epoch_learned",
    "evaluate",
    "loss_trajectories",
    "maximum_logits",
    "normalised_by_class",
    "sorted_logits",
]
