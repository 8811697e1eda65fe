"""What the labels of every round are worth, beside those that other ways of choosing would have brought."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from datassay.annotation.merging import with_labels
from datassay.checkpoints import Checkpoints
from datassay.config import Training
from datassay.data.labels import is_known
from datassay.data.source import POOL
from datassay.randomness import generator
from datassay.training import retrain, train

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

PEOPLE, TRUE, RANDOM, UNCERTAINTY = "annotated", "annotated_true", "random", "uncertainty"
Labels = dict[str, float]


@dataclass(frozen=True)
class Setting:
    """What is trained and how; the arguments of `retrain`."""

    examples: "pd.DataFrame"
    vectors: np.ndarray | None
    label_names: Sequence[str]
    model: Training
    seeds: Sequence[int]
    task: str


def follow_round(
    setting: Setting,
    labels: "pd.DataFrame",
    earlier: "pd.DataFrame | None",
    checkpoints: Checkpoints,
    compare: bool = True,
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Train on the train rows and what was labelled up to a round, and on as many rows chosen in other ways.

    labels: example_id and label by people, of all rounds up to this one. earlier: the second table of the round
    before, None before the first. checkpoints: progress of every training. Arms:

    - annotated: the labels of people;
    - annotated_true: the same rows with their true labels: what the choice is worth, apart from wrong answers;
    - random: as many rows of the pool at random, each round adding to those before;
    - uncertainty: as many with the highest entropy, chosen round by round by the model of the round before.

    All but the first need true labels of the pool; uncertainty needs classes. Returns (metrics: arm, seed, n_labelled
    and all of `retrain`, the picks: arm, example_id, in order). Time: trainings of (arms x seeds), and one that picks.
    """
    import pandas as pd

    arms = {PEOPLE: dict(zip(labels["example_id"], labels["label"].astype(float), strict=True))}
    if compare:
        arms |= _controls(setting, list(arms[PEOPLE]), earlier, checkpoints)
    tables, picks = [], []
    done: dict[tuple[tuple[str, float], ...], list[dict[str, float]]] = {}  # before the first round all arms are one
    for arm, known in arms.items():
        key = tuple(sorted(known.items()))
        if key not in done:
            logger.info("%s: %d rows of the pool labelled", arm.replace("_", ", "), len(known))
            done[key] = retrain(
                with_labels(setting.examples, known),
                setting.vectors,
                setting.label_names,
                setting.model,
                setting.seeds,
                task=setting.task,
                checkpoints=checkpoints.part(arm),
            )
        tables.append(pd.DataFrame(done[key]).assign(arm=arm, n_labelled=len(known)))
        picks.append(pd.DataFrame({"arm": arm, "example_id": pd.Series(list(known), dtype="str")}))
    return pd.concat(tables, ignore_index=True), pd.concat(picks, ignore_index=True)


def _controls(
    setting: Setting, answered: list[str], earlier: "pd.DataFrame | None", checkpoints: Checkpoints
) -> dict[str, Labels]:
    """Return the arms whose labels are true ones, {} where too few are known."""
    truth = known_truth(setting.examples)
    if any(example not in truth for example in answered):
        logger.info("the true labels of the pool are not known: no comparison with other ways of choosing")
        return {}
    ids = sorted(truth)
    order = generator(0, "annotation", RANDOM).permutation(len(ids))
    chosen = {TRUE: answered, RANDOM: [ids[row] for row in order[: len(answered)]]}
    if setting.task == "classification":
        chosen[UNCERTAINTY] = _uncertain(setting, truth, len(answered), earlier, checkpoints)
    return {arm: {example: truth[example] for example in examples} for arm, examples in chosen.items()}


def known_truth(examples: "pd.DataFrame") -> Labels:
    """Return example id -> true label of the rows of the pool of which it is known."""
    if "true_label" not in examples:
        return {}
    rows = (examples["split"] == POOL).to_numpy() & is_known(examples["true_label"].to_numpy())
    return dict(zip(examples["example_id"][rows], examples["true_label"][rows].astype(float), strict=True))


def _uncertain(
    setting: Setting,
    truth: Mapping[str, float],
    n: int,
    earlier: "pd.DataFrame | None",
    checkpoints: Checkpoints,
) -> list[str]:
    """Return n examples: those of earlier rounds, then the most uncertain of the rest in the eyes of their model."""
    from datassay.acquisition.uncertainty import entropies
    from datassay.measures._arrays import softmax
    from datassay.selection.arrays import by_score

    before = [] if earlier is None else earlier.loc[earlier["arm"] == UNCERTAINTY, "example_id"].tolist()[:n]
    if n == len(before):
        return before
    examples = with_labels(setting.examples, {example: truth[example] for example in before})
    model = setting.model.model_copy(update={"mc_passes": 0})
    recording = train(
        examples,
        setting.vectors,
        setting.label_names,
        model,
        setting.seeds[0],
        checkpoints.part("picking"),
        setting.task,
    )
    left = np.flatnonzero((examples["split"] == POOL).to_numpy() & examples["example_id"].isin(truth).to_numpy())
    score = entropies(softmax(recording.logits[-1, left].T.astype(np.float64)).T)
    order = left[by_score(score, generator(0, "annotation", UNCERTAINTY, len(before)))]
    return [*before, *examples["example_id"].to_numpy()[order[: n - len(before)]].tolist()]
