"""What the trajectories of probes say of the train rows: categories, signs of wrong labels, epochs of learning."""

from typing import TYPE_CHECKING, Literal

import numpy as np

from datassay.archaeology.assignment import Across, across_seeds, assign_categories, normalised_by_class
from datassay.archaeology.trajectories import epoch_first_learned, epoch_learned
from datassay.errors import NotApplicable
from datassay.measures._arrays import family_table
from datassay.registry import Column, measure

if TYPE_CHECKING:
    import pandas as pd

CATEGORIES = ("typical", "atypical", "random_outputs", "corrupted", "out_of_distribution", "random_inputs")
TRUSTED, WRONG = ("typical", "ordinary"), "random_outputs"  # suites between which labels are judged
SHARE = "share_{}"
ENDS: dict[str, Literal["low", "high"]] = {"typical": "low", "random_outputs": "high"}


@measure(
    version=1,
    source="Siddiqui et al., ICLR 2023 (MAP-D)",
    columns=[
        Column(
            "category", "kind of probe that the example behaves like, by most votes of the nearest probes", names=True
        ),
        *(Column(SHARE.format(c), f"share of the votes for {c}", mislabelled=ENDS.get(c)) for c in CATEGORIES),
        Column("noise_share", "share of random_outputs among the nearest probes, against typical and ordinary", "high"),
        Column(
            "epoch_learned", "first epoch from which it stays right to the end (first seed), -1 if wrong at the end"
        ),
        Column("epoch_first_learned", "first epoch after which it is right (first seed), -1 if there is none"),
    ],
    tasks=["classification"],
)
def archaeology(
    loss_trajectories: np.ndarray,
    right_trajectories: np.ndarray,
    labels: np.ndarray,
    probe_losses: np.ndarray,
    probe_labels: np.ndarray,
    probe_suites: np.ndarray,
    *,
    k: int = 20,
    seeds: Across = "concatenated",
    by_class: bool = False,
) -> "pd.DataFrame":
    """Kind of every example by the probes whose losses ran most alike.

    loss_trajectories [n, S, E], right_trajectories bool [n, S, E]: of the train rows, every seed. probe_losses
    [P, S, E], probe_labels [P], probe_suites [P]: of the reference probes. k: voters. seeds: how the trajectories of
    several seeds become one: concatenated, averaged, or those of the first alone. by_class: first less the mean of the
    class, over its deviation.

    Raises NotApplicable where no two suites of CATEGORIES were planted. Time O(n P S E), memory O(n (k + S E)).
    """
    points, probes = across_seeds(loss_trajectories, seeds), across_seeds(probe_losses, seeds)
    if by_class:
        points, probes = normalised_by_class(points, labels, probes, probe_labels)
    category, shares = categories(points, probes, probe_suites, k)
    columns: dict[str, np.ndarray] = {"category": category.astype(object)}
    columns |= {SHARE.format(name): shares[:, place] for place, name in enumerate(planted(probe_suites))}
    noise = noise_share(points, probes, probe_suites, k)
    columns |= {} if noise is None else {"noise_share": noise}
    columns["epoch_learned"] = epoch_learned(right_trajectories[:, 0])
    columns["epoch_first_learned"] = epoch_first_learned(right_trajectories[:, 0])
    absent = {SHARE.format(name): f"no suite {name} was planted" for name in CATEGORIES}
    absent["noise_share"] = f"needs the suite {WRONG} and one of {', '.join(TRUSTED)}"
    return family_table(columns, {name: reason for name, reason in absent.items() if name not in columns})


def planted(suites: np.ndarray) -> list[str]:
    """Return the categories that have probes, in the order that shares have."""
    return sorted(set(suites) & set(CATEGORIES))


def categories(points: np.ndarray, probes: np.ndarray, suites: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return category [n] and shares [n, G], in the order of `planted`, by the probes of CATEGORIES alone."""
    if len(planted(suites)) < 2:
        raise NotApplicable(f"needs probes of at least 2 of the suites {', '.join(CATEGORIES)}")
    voters = np.isin(suites, CATEGORIES)
    return assign_categories(points, probes[voters], suites[voters], k)


def noise_share(points: np.ndarray, probes: np.ndarray, suites: np.ndarray, k: int) -> np.ndarray | None:
    """Return the share of random_outputs among the k nearest of it and the trusted suites [n], None where one lacks."""
    voters = np.isin(suites, (*TRUSTED, WRONG))
    wrong = suites[voters] == WRONG
    if not 0 < wrong.sum() < len(wrong):
        return None
    return assign_categories(points, probes[voters], wrong, k)[1][:, 1]
