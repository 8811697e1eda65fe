"""Meta-information of unlabelled candidates: the infoVerse columns under the labels that an ensemble predicts."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.active_learning._learner import Learner
from datassay.active_learning.metrics import probabilities
from datassay.active_learning.world import World
from datassay.measures.infoverse import join_families, standardise
from datassay.randomness import generator
from datassay.registry import method
from datassay.stages import compute_measure
from datassay.training._dropout import dropout_logits
from datassay.training._trainer import Run, epochs, predict

if TYPE_CHECKING:
    import pandas as pd

FAMILIES = ("training_dynamics", "ensemble", "mc_dropout", "static", "pretrained")


def infoverse_arrays(
    world: World, learner: Learner, candidates: np.ndarray, labelled: np.ndarray
) -> dict[str, np.ndarray]:
    """Return infoverse [m, columns], z-scored over the candidates, and pseudo_labels int64 [m].

    `ensemble` models learn from all labelled rows, for all epochs; of the first one the logits of the candidates are
    recorded after every epoch. The class that the ensemble's mean probability prefers stands for the label. Columns
    that cannot be computed (no language model, no dropout) are left out. Source: Kim et al., ACL 2023, section 5.
    """
    recorded: dict[str, np.ndarray] = {}
    final = []
    for number in range(learner.loop.ensemble):
        seed = int(generator(learner.seed, "ensemble", number).integers(2**31))
        run = learner.fresh(seed)
        every_epoch = _train(run, learner, labelled, candidates, record=number == 0)
        outputs = predict(run, candidates, features=number == 0)
        final.append(outputs.logits)
        if number == 0 and outputs.features is not None:
            recorded = {"logits": np.stack(every_epoch), "features": outputs.features}
            recorded["mc_logits"] = dropout_logits(run, candidates, outputs.features)
    pseudo = np.mean([probabilities(logits) for logits in final], axis=0).argmax(axis=1)
    recorded |= {"ensemble_logits": np.stack(final), "labels": pseudo}
    recorded["embeddings"] = world.known("embeddings", candidates)
    if "log_likelihood" in world.of_train:
        recorded["log_likelihood"] = world.known("log_likelihood", candidates)
    return {"infoverse": _points(recorded, world.examples["example_id"].iloc[candidates]), "pseudo_labels": pseudo}


def _train(run: Run, learner: Learner, labelled: np.ndarray, candidates: np.ndarray, record: bool) -> list[np.ndarray]:
    found = []
    for _ in epochs(run, labelled, steps=learner.steps(len(labelled))[0]):
        run.task.mode(training=False)
        if record:
            found.append(predict(run, candidates).logits)
    return found


def _points(arrays: dict[str, np.ndarray], ids: "pd.Series") -> np.ndarray:
    tables = []
    for name in FAMILIES:
        about = method("measure", name)
        tables.append(compute_measure(about, arrays, ids, about.options))
    return standardise(join_families(tables))
