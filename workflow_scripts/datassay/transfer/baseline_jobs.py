"""The jobs of the other methods: task embeddings of data sets, and all scores of the sources of a target."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import Finetune
from datassay.storage import load_json, load_members
from datassay.training import tune
from datassay.transfer.baselines import score_source
from datassay.transfer.jobs import sample
from datassay.transfer.registry import SOURCE, load_esm
from datassay.transfer.texts import vocabulary

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def embed_task(
    examples: "pd.DataFrame",
    card: Mapping[str, Any],
    settings: Finetune,
    how: Mapping[str, Any],
    model_folder: str | None,
    checkpoints: Checkpoints,
    scratch: Path,
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return the task embedding of a data set (see `_fisher`), and the seconds it took.

    model_folder: the model that was fine-tuned on it; None: it is fine-tuned here, on the rows that a ranking sees.
    how: seed, target_rows, fisher_rows.
    """
    from datassay.transfer._fisher import task_embedding

    clock = [time.monotonic()]
    if model_folder is None:
        chosen = sample(examples, "train", how["target_rows"], how["seed"], card["task"])
        tune(chosen, card["label_names"], settings, how["seed"], checkpoints, scratch, card["task"])
    clock.append(time.monotonic())
    rows = sample(examples, "train", how["fisher_rows"], how["seed"], card["task"])
    found = task_embedding(rows, model_folder or str(scratch), settings, card["task"])
    clock.append(time.monotonic())
    return found, dict(zip(("fine_tuning", "fisher"), np.diff(clock).tolist(), strict=True))


def compute_baselines(
    chosen: "pd.DataFrame",
    embeddings: np.ndarray,
    regression: bool,
    sources: Sequence[Mapping[str, Any]],
    methods: Sequence[str],
    settings: Finetune,
    pooling: str,
    checkpoints: Checkpoints,
    task: str | None = None,
) -> list[dict[str, Any]]:
    """Return the records of `score_source` of every source, in their order; a finished source is a checkpoint record.

    chosen, embeddings: the rows of the target that the ranking sees. sources: name, esm, model and task (files and
    folders, the last two None where no method needs them), regression. task: the task embedding of the target.
    """
    target = {
        "labels": chosen["label"].to_numpy(),
        "regression": regression,
        "mean_embedding": embeddings.mean(axis=0, dtype=np.float64),
        "vocabulary": vocabulary(chosen, settings) if "vocabulary" in methods else None,
        "task": load_members(task) if task else None,
    }
    records = []
    for source in sources:
        saved = checkpoints.load(source["name"])
        if saved is None:
            read = partial(_read, chosen, source, settings, pooling)
            own = score_source(methods, target, _known_of(source), read)
            saved = {"json": np.frombuffer(json.dumps(own).encode(), np.uint8)}
            checkpoints.save(source["name"], saved)
            unit_done("source")
            logger.info("%s: %s", source["name"], {one["method"]: round(one["score"], 4) for one in own})
        records += [{"source": source["name"], **one} for one in json.loads(saved["json"].tobytes())]
    return records


def _known_of(source: Mapping[str, Any]) -> dict[str, Any]:
    about, _ = load_esm(source["esm"])
    weights = Path(source["model"]).rglob("*.safetensors") if source["model"] else ()
    arrays = load_members(Path(source["esm"]) / SOURCE)
    return {
        "regression": source["regression"],
        "rows": about["num_examples"],
        "mean_embedding": arrays["mean_embedding"],
        "vocabulary": arrays["vocabulary"],
        "model_bytes": sum(file.stat().st_size for file in weights),
        "task": source["task"],
    }


def _read(
    chosen: "pd.DataFrame", source: Mapping[str, Any], settings: Finetune, pooling: str
) -> tuple[np.ndarray, np.ndarray]:
    from datassay.transfer._pooled import TextModel

    return TextModel(chosen, source["model"], settings, pooling, head=True).with_logits(np.arange(len(chosen)))


def total_seconds(records: Sequence[Mapping[str, Any]], own_times: str | None) -> dict[str, float]:
    """Return the seconds of every method for all sources; a file says those of the target's own task embedding."""
    totals: dict[str, float] = {}
    for record in records:
        totals[record["method"]] = totals.get(record["method"], 0.0) + record["seconds"]
    if own_times and "task_embedding" in totals:
        totals["task_embedding"] += sum(load_json(own_times).values())
    return totals
