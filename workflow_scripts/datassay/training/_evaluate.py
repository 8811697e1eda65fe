"""Training again and again without recording: what the models score on held-out rows."""

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from datassay.checkpoints import Checkpoints, stop_requested, unit_done
from datassay.config import Training
from datassay.training._recipes import prepare
from datassay.training._record import LEADING, learnt, load_state, saved_state
from datassay.training._trainer import Run, epochs, make_accelerator, predict, reproducible, start
from datassay.training.guidance import Guidance
from datassay.training.scores import group_scores, scores

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


class Measured(NamedTuple):
    """What says on which rows a model is measured: splits [N] and, where accuracies by group are wanted, groups [N]."""

    splits: np.ndarray
    groups: np.ndarray | None


def evaluate_seeds(
    examples: "pd.DataFrame",
    vectors: np.ndarray | None,
    labels: np.ndarray,
    label_names: Sequence[str],
    settings: Training,
    seeds: Sequence[int],
    train_rows: np.ndarray,
    task: str,
    checkpoints: Checkpoints | None,
    guidance: Guidance | None = None,
    every_epoch: bool = False,
    by_group: bool = False,
) -> list[dict[str, float]]:
    """Train on train_rows with every seed; see `datassay.training.retrain`."""
    read = np.union1d(train_rows, np.flatnonzero(examples["split"].isin(["test", "validation"])))
    examples, labels = examples.iloc[read].reset_index(drop=True), labels[read]
    vectors = None if vectors is None else vectors[read]
    train_rows = np.searchsorted(read, train_rows)
    measured = Measured(examples["split"].to_numpy(), examples["group"].to_numpy(object) if by_group else None)
    objective, fit = learnt(examples, labels, label_names, train_rows, task)
    guidance = None if guidance is None else guidance.placed(train_rows, len(examples))
    results: list[dict[str, float]] = []
    with reproducible():
        accelerator = make_accelerator(settings)
        build = None
        for seed in seeds:
            found = _known_result(seed, checkpoints)
            if found is None:
                build = build or prepare(examples, vectors, objective, settings)
                run = start(build, accelerator, objective, settings, seed, guidance=guidance)
                scored = _fit(run, fit, checkpoints, measured if every_epoch else None)
                about = {"seed": seed, "n_kept": len(train_rows)}
                found = [about | row for row in scored] if every_epoch else [about | _test_scores(run, measured)]
                _keep_result(seed, found, checkpoints)
            results += found
            shown = (seed, len(train_rows), LEADING[task], found[-1][LEADING[task]])
            logger.info("seed %d: %d rows kept, test %s %.3f", *shown)
    return results


def _fit(
    run: Run, rows: np.ndarray, checkpoints: Checkpoints | None, measured: Measured | None
) -> list[dict[str, float]]:
    """Train without recording; the state is saved only where a signal asks for a stop.

    measured: where the scores after every epoch are asked for. Returns these.
    """
    name, first = f"seed{run.seed}state", 0
    scored: list[dict[str, float]] = []
    if checkpoints is not None and (arrays := checkpoints.load(name)) is not None:
        first, scored = int(arrays.pop("epochs")), _from_bytes(arrays.pop("scored"))
        load_state(arrays, run)
        logger.info("seed %d: going on after epoch %d/%d", run.seed, first, run.settings.epochs)
    for epoch, _ in epochs(run, rows, first):
        if measured is not None:
            scored.append({"epoch": epoch + 1, **_test_scores(run, measured)})
        if checkpoints is not None and stop_requested():
            progress = {"epochs": np.array(epoch + 1), "scored": _as_bytes(scored)}
            checkpoints.save(name, saved_state(run) | progress)
            unit_done("epoch")
    return scored


def _test_scores(run: Run, measured: Measured) -> dict[str, float]:
    run.task.mode(training=False)
    objective = run.objective
    found: dict[str, float] = {}
    for split, prefix in (("test", ""), ("validation", "validation_")):
        rows = np.flatnonzero((measured.splits == split) & objective.labelled)
        logits = predict(run, rows).logits
        values = scores(logits, objective.labels[rows], objective.task)
        found |= {prefix + name: value for name, value in values.items()}
        if measured.groups is not None and split == "test":
            found |= group_scores(logits, objective.labels[rows], measured.groups[rows])
    return found


def _known_result(seed: int, checkpoints: Checkpoints | None) -> list[dict[str, float]] | None:
    arrays = checkpoints.load(f"seed{seed}") if checkpoints is not None else None
    return None if arrays is None else _from_bytes(arrays["json"])


def _keep_result(seed: int, result: list[dict[str, float]], checkpoints: Checkpoints | None) -> None:
    if checkpoints is not None:
        checkpoints.save(f"seed{seed}", {"json": _as_bytes(result)})
        checkpoints.drop(f"seed{seed}state")
        unit_done("seed")


def _as_bytes(content: list[dict[str, float]]) -> np.ndarray:
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


def _from_bytes(array: np.ndarray) -> list[dict[str, float]]:
    return json.loads(array.tobytes())
