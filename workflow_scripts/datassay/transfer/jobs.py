"""The jobs of a transfer: one per source, and one per (source, target)."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.checkpoints import Checkpoints
from datassay.config import Finetune
from datassay.encoders import encode_shards, read_shards
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.storage import atomic_path
from datassay.training import known, retrain, tune
from datassay.transfer.maps import fit_esm
from datassay.transfer.registry import save_esm
from datassay.transfer.texts import text_hashes, vocabulary

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
SHARD_ROWS = 4096


def sample(examples: "pd.DataFrame", split: str, rows: int, seed: int, task: str) -> "pd.DataFrame":
    """Return at most `rows` labelled rows of a split, drawn by seed, in the order of the data."""
    labels = examples["label"].to_numpy(dtype=float, na_value=np.nan)
    candidates = np.flatnonzero((examples["split"] == split).to_numpy() & known(labels, task))
    drawn = generator(seed, "transfer", split).permutation(candidates)[:rows]
    return examples.iloc[np.sort(drawn)].reset_index(drop=True)


def embed_texts(
    examples: "pd.DataFrame", model: str, settings: Finetune, pooling: str, checkpoints: Checkpoints, name: str
) -> np.ndarray:
    """Return the pooled embeddings float32 [N, d] of the examples, saved shard by shard under `name`."""

    def make() -> Any:
        from datassay.transfer._pooled import TextModel

        return TextModel(examples, model, settings, pooling)

    encode_shards(make, len(examples), SHARD_ROWS, checkpoints, name)
    return np.concatenate([vectors for _, vectors in read_shards(len(examples), SHARD_ROWS, checkpoints, name)])


def resolved_pooling(settings: Finetune, pooling: str) -> str:
    """Return how the base model's tokens become one vector."""
    from datassay.transfer._pooled import pooling_of

    return pooling_of(settings.backbone, settings.revision) if pooling == "auto" else pooling


def build_esm(
    examples: "pd.DataFrame",
    card: Mapping[str, Any],
    settings: Finetune,
    how: Mapping[str, Any],
    about: Mapping[str, Any],
    checkpoints: Checkpoints,
    esm_folder: str,
    model_folder: str,
) -> dict[str, Any]:
    """Fine-tune the base model on a source (or take the tuned folder `how` names), embed, fit and save the ESM.

    how: seed, pooling, source_rows, tuned (a folder or None) and esm (arguments of `fit_esm`). about: what the ESM's
    config says of the source. A killed call goes on at its epoch or shard. Returns the seconds of every part.
    """
    chosen = sample(examples, "train", how["source_rows"], how["seed"], card["task"])
    clock = [time.monotonic()]
    if how["tuned"] is None:
        tune(chosen, card["label_names"], settings, how["seed"], checkpoints, model_folder, card["task"])
    else:
        import shutil

        with atomic_path(model_folder) as temporary:
            shutil.copytree(how["tuned"], temporary)
    clock.append(time.monotonic())
    pooling = resolved_pooling(settings, how["pooling"])
    base = embed_texts(chosen, settings.backbone, settings, pooling, checkpoints, "base")
    tuned = embed_texts(chosen, model_folder, settings, pooling, checkpoints, "after")
    clock.append(time.monotonic())
    esm = fit_esm(base, tuned, seed=how["seed"], **how["esm"])
    logger.info("on held-out rows: %s", {k: v for k, v in esm.report.items() if isinstance(v, float)})
    said = {**about, "num_examples": len(chosen), "seed": how["seed"], **recipe(settings, how["esm"])}
    source = {
        "text_hashes": text_hashes(chosen),
        "vocabulary": vocabulary(chosen, settings),
        "mean_embedding": base.mean(axis=0, dtype=np.float64),
    }
    save_esm(esm_folder, esm, said, source)
    clock.append(time.monotonic())
    parts = ("fine_tuning", "embedding", "fitting")
    return dict(zip(parts, np.diff(clock).tolist(), strict=True))


def recipe(settings: Finetune, esm: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an ESM's config says of how model and map were trained."""
    names = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD"}
    said: dict[str, Any] = {
        "lm_num_epochs": settings.epochs,
        "lm_batch_size": settings.batch_size * settings.accumulation,
        "lm_learning_rate": settings.learning_rate,
        "lm_weight_decay": settings.weight_decay,
        "lm_optimizer": names[settings.optimizer],
    }
    if esm["fit"] == "ridge":
        return said | {"esm_optimizer": "ridge"}
    taken = {f"esm_{'num_epochs' if k == 'epochs' else k}": esm[k] for k in ("epochs", "batch_size", "learning_rate")}
    return said | taken | {"esm_weight_decay": esm["weight_decay"], "esm_optimizer": "AdamW"}


def transfer(
    examples: "pd.DataFrame",
    card: Mapping[str, Any],
    settings: Finetune,
    how: Mapping[str, Any],
    model_folder: str | None,
    checkpoints: Checkpoints,
    scratch: Path,
) -> list[dict[str, float]]:
    """Fine-tune a source's model (None: the base model) on a target, with every seed; return test metrics per seed.

    how: seed, target_rows, evaluate_rows, seeds. Learns from the rows that the ranking sees, with a fresh head.
    """
    import pandas as pd

    rows = [
        sample(examples, split, how[key], how["seed"], card["task"])
        for split, key in (("train", "target_rows"), ("test", "evaluate_rows"))
    ]
    if not len(rows[1]):
        raise DatassayError(f"{card['name']}: no labelled test row, a real transfer cannot be measured, set split.test")
    if model_folder is not None:
        settings = settings.model_copy(update={"backbone": bare_model(model_folder, scratch), "revision": None})
    together = pd.concat(rows, ignore_index=True)
    return retrain(together, None, card["label_names"], settings, how["seeds"], None, card["task"], checkpoints)


def bare_model(model_folder: str, scratch: Path) -> str:
    """Save a classifier without its head, so that every target starts with a new one; return the folder."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from datassay.encoders.backbones import OWN_CODE_ONLY, loading
    from datassay.training import save_parts

    with loading(model_folder):
        parts: Sequence[Any] = [
            AutoModel.from_pretrained(model_folder, dtype=torch.float32, **OWN_CODE_ONLY),
            AutoTokenizer.from_pretrained(model_folder, **OWN_CODE_ONLY),
        ]
    save_parts(parts, scratch)
    return str(scratch)
