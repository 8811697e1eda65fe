"""What people are asked next: the acquisition functions on what was recorded of the pool."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.annotation.filters import exact_duplicates, near_duplicates
from datassay.errors import DatassayError
from datassay.measures._arrays import softmax
from datassay.randomness import generator
from datassay.registry import Method, method

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
NOT_RECORDED = {
    "mc_logits": "dropout passes are recorded of train rows only",
    "surprisal": "what surprises a masked language model is recorded for active learning only",
}


@dataclass(frozen=True)
class Recorded:
    """What the trained model says of every row, and the vectors of its encoder; N rows, all as in examples.

    logits: first seed [E, N, C]. ensemble_logits: last epoch of every seed [S, N, C]. features: [N, d]. embeddings:
    [N, d']. C is 1 in a regression. train: int64, the labelled rows.
    """

    logits: np.ndarray
    ensemble_logits: np.ndarray
    features: np.ndarray
    embeddings: np.ndarray
    train: np.ndarray
    task: str

    def predictions(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what the ensemble suggests, and its confidence in it: class number and mean probability; mean, NaN."""
        if self.task == "regression":
            numbers = np.asarray(self.ensemble_logits[:, rows, 0], dtype=np.float64)
            return numbers.mean(axis=0), np.full(len(rows), np.nan)
        probabilities = self.probabilities(rows)
        return probabilities.argmax(axis=1), probabilities.max(axis=1)

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return the mean probabilities of the ensemble for some rows, float64 [m, C]."""
        logits = np.asarray(self.ensemble_logits[:, rows], dtype=np.float64)
        return softmax(logits.transpose(2, 0, 1)).mean(axis=1).T

    def arrays(self, names: Sequence[str], rows: np.ndarray, families: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the arrays that an acquisition function takes, for some rows of the pool.

        families: of the infoVerse -> options. Raises DatassayError for what was not recorded.
        """
        found: dict[str, np.ndarray] = {}
        for name in names:
            match name:
                case "candidates":
                    found[name] = np.arange(len(rows))
                case "probabilities":
                    found[name] = self.probabilities(rows)
                case "features" | "embeddings":
                    found[name] = np.asarray(getattr(self, name)[rows])
                case "labelled_features":
                    found[name] = np.asarray(self.features[self.train])
                case "pseudo_labels":
                    found[name] = self.pseudo_labels(rows)
                case "infoverse":
                    found[name] = self.infoverse(rows, families)
                case _:
                    why = NOT_RECORDED.get(name, "it is not among what is recorded of a pool")
                    raise DatassayError(f"annotation.strategy: it reads '{name}': {why}")
        return found

    def pseudo_labels(self, rows: np.ndarray) -> np.ndarray:
        """Return the predicted classes of some rows; in a regression one class for all."""
        if self.task == "regression":
            return np.zeros(len(rows), dtype=np.int64)
        return self.predictions(rows)[0]

    def infoverse(self, rows: np.ndarray, families: Mapping[str, Any]) -> np.ndarray:
        """Return the z-scored infoVerse columns of some rows, predictions in the place of labels, float64 [m, columns].

        families: measures by name, with their options; none that reads dropout passes, which nothing records of a pool.
        """
        from datassay.measures.infoverse import join_families, standardise
        from datassay.stages import compute_measure

        arrays = {
            "logits": np.asarray(self.logits[:, rows]),
            "ensemble_logits": np.asarray(self.ensemble_logits[:, rows]),
            "features": np.asarray(self.features[rows]),
            "embeddings": np.asarray(self.embeddings[rows]),
            "labels": self.predictions(rows)[0],
        }
        import pandas as pd

        ids = pd.Series(rows)
        tables = [
            compute_measure(method("measure", name), arrays, ids, options, self.task).drop(columns="example_id")
            for name, options in families.items()
        ]
        table = join_families(tables)
        logger.info("infoverse of %d candidates: %s", len(rows), ", ".join(table.columns))
        return standardise(table)


def choose_batch(
    about: Method, recorded: Recorded, examples: "pd.DataFrame", rows: np.ndarray, settings: Mapping[str, Any]
) -> np.ndarray:
    """Return the rows to ask about, int64, the most wanted first: at most settings["batch_size"] of `rows`.

    about: an acquisition function. rows: int64, of the pool. settings: batch_size, extra (share drawn beyond it, to
    replace what repeats an earlier pick), near_duplicates (cosine from which that is so; None: word for word only),
    seed, options of the function, families of the infoVerse with theirs. Raises DatassayError for an array that the
    function takes and nothing records.
    """
    from datassay.acquisition import choose

    drawn = min(len(rows), math.ceil(settings["batch_size"] * (1 + settings["extra"])))
    if drawn == 0:
        logger.warning("no row of the pool is left to be labelled")
        return np.empty(0, dtype=np.int64)
    names = [name for name in about.inputs.values() if name not in ("n", "rng")]
    arrays = recorded.arrays(names, rows, settings["families"])
    rng = generator(settings["seed"], "annotation", about.name)
    picks = rows[choose(about, arrays, drawn, rng, settings["options"])]
    everything = np.ones(len(picks), dtype=bool)
    copies = exact_duplicates(examples.iloc[picks], everything)
    if settings["near_duplicates"] is not None:
        copies |= near_duplicates(recorded.embeddings[picks], everything, ~copies, settings["near_duplicates"])
    if copies.any():
        logger.info("%d of %d picks repeat an earlier one and are dropped", int(copies.sum()), len(picks))
    return picks[~copies][: settings["batch_size"]]
