"""The tables and arrays of the archaeology stage: trajectories by part, categories by row, and their evaluation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.archaeology.assignment import across_seeds, normalised_by_class
from datassay.archaeology.evaluation import evaluate
from datassay.archaeology.trajectories import loss_trajectories
from datassay.archaeology.treatments import Treatment, treatment
from datassay.measures.archaeology import CATEGORIES, SHARE, categories, planted
from datassay.stages import split_rows
from datassay.storage import PathLike, load_member, load_table

if TYPE_CHECKING:
    import pandas as pd

HALVES = ("reference", "evaluation")
Records = Mapping[str, np.ndarray]


def trajectory_arrays(
    examples: "pd.DataFrame", probes: "pd.DataFrame", logits: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Return {part}_{what} for the parts train, reference and evaluation.

    examples: N rows; probes: as `plant` returns them; logits: [E, N, C] of every seed, may be memory-mapped.
    what: loss float32 [., S, E], right bool [., S, E], label int64 [.] and, of probes, suite (text) [.]. Train rows are
    in the order of the examples, probes in that of `probes`.
    """
    labels = examples["label"].to_numpy()
    found = [loss_trajectories(own, np.maximum(labels, 0)) for own in logits]
    loss, right = (np.stack([seed[part] for seed in found], axis=1) for part in (0, 1))
    places = {"train": split_rows(examples, "train")}
    places |= {half: probe_rows(examples, probes[probes["half"] == half]) for half in HALVES}
    arrays: dict[str, np.ndarray] = {}
    for part, rows in places.items():
        arrays |= {f"{part}_loss": loss[rows], f"{part}_right": right[rows], f"{part}_label": labels[rows]}
    suites = {half: probes.loc[probes["half"] == half, "suite"].to_numpy().astype(str) for half in HALVES}
    return arrays | {f"{half}_suite": names for half, names in suites.items()}


def probe_rows(examples: "pd.DataFrame", probes: "pd.DataFrame") -> np.ndarray:
    """Return the positions of probes among the examples, int64, in the order of `probes`."""
    import pandas as pd

    return pd.Index(examples["example_id"]).get_indexer(pd.Index(probes["example_id"]))


def load_trajectories(file: PathLike) -> dict[str, np.ndarray]:
    """Load what `trajectory_arrays` returned."""
    names = [f"{part}_{what}" for part in ("train", *HALVES) for what in ("loss", "right", "label")]
    return {name: load_member(file, name) for name in [*names, *(f"{half}_suite" for half in HALVES)]}


def load_treatment(
    name: str, examples: "pd.DataFrame", files: Mapping[str, str], settings: Mapping[str, Any]
) -> Treatment:
    """Return a treatment of the train rows of some examples. files: family and trajectories."""
    rows = split_rows(examples, "train")
    family = load_table(files["family"], rows=len(rows))
    groups = examples["group"].to_numpy(object)[rows] if "group" in examples else None
    return treatment(name, family, groups, load_member(files["trajectories"], "train_loss", rows=len(rows)), settings)


def category_table(
    examples: "pd.DataFrame",
    probes: "pd.DataFrame",
    family: "pd.DataFrame",
    records: Records,
    options: Mapping[str, Any],
) -> "pd.DataFrame":
    """Return category and vote shares of the train rows and of the held-out probes.

    family: the measures of the train rows. options: those of the family `archaeology`. Columns: example_id, half
    (train, evaluation), suite (missing for train rows), category, share_{category}. Probes of no category (ordinary)
    are left out.
    """
    import pandas as pd

    shown = [name for name in map(str, family) if name in ("category", *map(SHARE.format, CATEGORIES))]
    train = family[["example_id", *shown]].assign(half="train", suite=None)
    held_out = probes[probes["half"] == "evaluation"].reset_index(drop=True)
    points, voters = (across_seeds(records[f"{half}_loss"], options["seeds"]) for half in ("evaluation", "reference"))
    if options["by_class"]:
        points, voters = _as_the_train_rows(records, points, voters, options)
    category, shares = categories(points, voters, records["reference_suite"], options["k"])
    names = [SHARE.format(name) for name in planted(records["reference_suite"])]
    asked = pd.DataFrame(shares, columns=names).assign(category=category, half="evaluation")
    asked = asked.assign(example_id=held_out["example_id"], suite=held_out["suite"])
    asked = asked[asked["suite"].isin(CATEGORIES)]
    table = pd.concat([train, asked], ignore_index=True)[["example_id", "half", "suite", *shown]]
    return table.astype({"suite": "str", "half": "str", "category": "str"})


def _as_the_train_rows(
    records: Records, points: np.ndarray, voters: np.ndarray, options: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the trajectories of both halves less the mean of their class among the train rows, over its deviation."""
    train, labels = across_seeds(records["train_loss"], options["seeds"]), records["train_label"]
    return (
        normalised_by_class(train, labels, points, records["evaluation_label"])[1],
        normalised_by_class(train, labels, voters, records["reference_label"])[1],
    )


def report(table: "pd.DataFrame", records: Records, typicality: "pd.DataFrame") -> dict[str, Any]:
    """Return what is known of the categories: held-out probes, train rows, and agreement with the typicality."""
    held_out, train = table[table["half"] == "evaluation"], table[table["half"] == "train"]
    names = planted(records["reference_suite"])
    counts = train["category"].value_counts()
    return {
        "probes": evaluate(held_out["suite"].to_numpy(), held_out["category"].to_numpy(), names),
        "train": {"n": len(train), "categories": {name: int(counts.get(name, 0)) for name in names}},
        "spearman_mean_loss_typicality": _agreement(train["example_id"], records["train_loss"], typicality),
    }


def _agreement(ids: "pd.Series", losses: np.ndarray, typicality: "pd.DataFrame") -> float | None:
    """Return Spearman's correlation of the mean loss (low = typical) with the typicality; None where there is none."""
    from scipy.stats import spearmanr

    known = typicality.set_index("example_id")["typicality"].reindex(ids).to_numpy(dtype=float)
    found = np.isfinite(known)
    if found.sum() < 3 or np.ptp(known[found]) == 0:
        return None
    return float(spearmanr(losses.mean(axis=(1, 2))[found], known[found]).statistic)
