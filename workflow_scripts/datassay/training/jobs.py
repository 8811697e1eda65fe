"""The training job of the workflow: from its files to its files, in one process or in several."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datassay.checkpoints import Checkpoints
from datassay.config import training_settings
from datassay.storage import load_array, load_json, load_table, save_array, save_table
from datassay.training import train
from datassay.training.parallel import is_first, launch


def train_job(
    files: Mapping[str, str],
    settings: Mapping[str, Any],
    seed: int,
    outputs: Mapping[str, str],
    key: str,
    processes: int = 1,
) -> None:
    """Train and record one model, and save what it leaves.

    files: examples, card and, for a head, vectors; read once, and shared by all processes. settings: as `recipe_params`
    returns them. outputs: what `Recording` holds by name, metrics and model. key: of the progress that a killed job
    goes on from. processes: one for every GPU.
    """
    card, examples = load_json(files["card"]), load_table(files["examples"])
    vectors = load_array(files["vectors"]) if "vectors" in files else None
    launch(_train, (examples, vectors, card, settings, seed, outputs, key), processes)


def _train(
    examples: Any,
    vectors: Any,
    card: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
    outputs: Mapping[str, str],
    key: str,
) -> None:
    progress = Checkpoints(Path(outputs["logits"]).parent, key)
    how = training_settings(settings)
    recording = train(examples, vectors, card["label_names"], how, seed, progress, card["task"])
    if not is_first():
        return
    for name in ("logits", "features", "feature_norms", "mc_logits"):
        save_array(outputs[name], getattr(recording, name))
    save_table(outputs["metrics"], recording.metrics.assign(seed=seed))
    recording.save_model(outputs["model"])
    progress.clear()
