"""What is done in training with what the probes tell: which rows are kept, and how the others are guided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.archaeology.assignment import across_seeds, assign_categories
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.training.guidance import Guidance

if TYPE_CHECKING:
    import pandas as pd

# application -> its treatments, the one that the others are compared with first
TREATMENTS = {
    "noise_correction": ("plain", "dropped", "corrected"),
    "minority_groups": ("plain", "weighted", "known"),
    "prioritised_training": ("uniform", "prioritised"),
}
UNTREATED = ("plain", "uniform")


@dataclass(frozen=True)
class Treatment:
    """How a model is trained: the train rows kept (None: all), what is said of them, and facts for the table."""

    kept_rows: np.ndarray | None = None
    guidance: Guidance | None = None
    facts: Mapping[str, float] = field(default_factory=dict)


def treatment(
    name: str,
    family: "pd.DataFrame",
    groups: np.ndarray | None,
    losses: np.ndarray,
    settings: Mapping[str, Any],
) -> Treatment:
    """Return a treatment of TREATMENTS for n train rows.

    family: their measures of the family archaeology, in order. groups: names [n] (object, None where unknown) for
    weighted and known. losses: trajectories [n, S, E]. settings: the block `archaeology` of the config.

    plain, uniform: every row alike. dropped: rows whose noise_share is above drop_above are left out. corrected: every
    row learns its label with weight 1 - noise_share and the model's own answer with the rest. weighted, known: every
    group weighs alike, by the groups that rows are assigned to from a reference of group_reference rows each, or by
    their true groups. prioritised: of `candidates` times as many rows a step takes those with the highest loss that are
    learnable (right after some epoch) and not noisy (noise_share at most drop_above).
    """
    if name in UNTREATED:
        return Treatment()
    if name in ("weighted", "known"):
        return _weighted(name, groups, losses, settings)
    if "noise_share" not in family:
        raise DatassayError(f"{name}: {family.attrs.get('absent', {}).get('noise_share', 'no column noise_share')}")
    noise = family["noise_share"].to_numpy()
    if name == "dropped":
        return Treatment(kept_rows=np.flatnonzero(noise <= settings["drop_above"]))
    if name == "corrected":
        return Treatment(guidance=Guidance(doubts=noise))
    preferred = (noise <= settings["drop_above"]) & (family["epoch_first_learned"].to_numpy() > 0)
    guidance = Guidance(preferred=preferred, candidates=settings["candidates"])
    return Treatment(guidance=guidance, facts={"share_preferred": float(preferred.mean())})


def _weighted(name: str, groups: np.ndarray | None, losses: np.ndarray, settings: Mapping[str, Any]) -> Treatment:
    true = _true_groups(groups, len(losses))
    if name == "known":
        return Treatment(guidance=Guidance(weights=group_weights(true)))
    reference = reference_rows(true, settings["group_reference"], settings["seed"])
    points = across_seeds(losses)
    assigned, _ = assign_categories(points, points[reference], true[reference], settings["k"])
    assigned[reference] = true[reference]
    names, counts = np.unique(true, return_counts=True)
    rest = np.setdiff1d(np.arange(len(true)), reference)
    found, real = assigned[rest] == names[counts.argmin()], true[rest] == names[counts.argmin()]
    hits = float((found & real).sum())
    facts = {"smallest_group_recall": hits / max(real.sum(), 1), "smallest_group_precision": hits / max(found.sum(), 1)}
    return Treatment(guidance=Guidance(weights=group_weights(assigned)), facts=facts)


def _true_groups(groups: np.ndarray | None, n: int) -> np.ndarray:
    known = np.array([isinstance(group, str) for group in groups]) if groups is not None else np.zeros(n, dtype=bool)
    if groups is None or not known.all():
        raise DatassayError(
            f"minority_groups: {int((~known).sum())} of {n} train rows have no group: name the column that holds it in "
            "columns.group"
        )
    if len(set(groups)) < 2:
        raise DatassayError(f"minority_groups: all train rows are of group '{groups[0]}', needs at least 2")
    return groups.astype(str)


def reference_rows(groups: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return rows whose group may be looked at, int64, sorted: `size` of each, at most half of a group."""
    rng = generator(seed, "group reference")
    rows = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    return np.sort(np.concatenate([rng.permutation(own)[: min(size, -(-len(own) // 2))] for own in rows]))


def group_weights(groups: np.ndarray) -> np.ndarray:
    """Return weights [n] of mean 1 under which every group weighs alike: n / (G n_g)."""
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return len(groups) / (len(counts) * counts[codes])
