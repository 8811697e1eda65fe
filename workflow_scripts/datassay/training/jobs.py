"""The training job of the workflow: from its files to its files, in one process or in several.

Run as a program, this module is one machine's part of a training on several.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datassay.checkpoints import Checkpoints
from datassay.config import training_settings
from datassay.step import process
from datassay.storage import load_array, load_json, load_table, save_array, save_table
from datassay.training import train
from datassay.training.nodes import launch_on_nodes, on_node
from datassay.training.parallel import ALONE, Place, is_first, launch


def train_job(
    files: Mapping[str, str],
    settings: Mapping[str, Any],
    seed: int,
    outputs: Mapping[str, str],
    key: str,
    gpus: int = 0,
    nodes: int = 1,
    place: Place = ALONE,
) -> None:
    """Train and record one model, and save what it leaves.

    files: examples, card and, for a head, vectors; read once on a machine, and shared by all its processes. settings:
    as `recipe_params` returns them. outputs: what `Recording` holds by name, metrics and model. key: of the progress
    that a killed job goes on from. gpus: each has a process; without any each machine has one. nodes: the machines
    to spread them over. place: that of this machine, where another one did so.
    """
    if nodes > 1:
        work = {"files": dict(files), "settings": dict(settings), "seed": seed, "outputs": dict(outputs), "key": key}
        command = [sys.executable, "-m", "datassay.training.jobs", json.dumps(work | {"gpus": gpus // nodes})]
        launch_on_nodes(command, gpus, nodes, Path(outputs["model"]))
        return
    card, examples = load_json(files["card"]), load_table(files["examples"])
    vectors = load_array(files["vectors"]) if "vectors" in files else None
    launch(_train, (examples, vectors, card, settings, seed, outputs, key), max(gpus, 1), place)


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


if __name__ == "__main__":
    with process(), on_node() as here:
        train_job(**json.loads(sys.argv[1]), place=here)
