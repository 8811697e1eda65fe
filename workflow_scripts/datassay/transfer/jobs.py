"""The jobs of a transfer: one per source, one per target, one per (source, target)."""

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
from datassay.encoders import encode_shards, read_shards
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.storage import atomic_path
from datassay.training import known, retrain, tune
from datassay.transfer.baselines import score_source
from datassay.transfer.maps import fit_esm
from datassay.transfer.registry import SOURCE, load_esm, save_esm
from datassay.transfer.texts import text_hashes

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
    own = {"num_examples": len(chosen), "seed": how["seed"], "label_column": about.get("label_column")}
    source = {
        "text_hashes": text_hashes(chosen),
        "vocabulary": vocabulary(chosen, settings),
        "mean_embedding": base.mean(axis=0, dtype=np.float64),
    }
    save_esm(esm_folder, esm, {**about, **own, **recipe(settings, how["esm"])}, source)
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


def vocabulary(examples: "pd.DataFrame", settings: Finetune) -> np.ndarray:
    """Return the token ids that occur in the texts, int64, sorted; the tokenizer is the base model's."""
    from transformers import AutoTokenizer

    from datassay.encoders.backbones import OWN_CODE_ONLY, loading, model_source
    from datassay.encoders.texts import whole_texts

    with loading(settings.backbone):
        tokenizer = AutoTokenizer.from_pretrained(
            model_source(settings.backbone), revision=settings.revision, **OWN_CODE_ONLY
        )
    texts = [list(part) for part in whole_texts(examples) if part is not None]
    ids = [row for part in texts for row in tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]]
    return np.unique(np.concatenate([np.asarray(row, dtype=np.int64) for row in ids]))


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


def compute_baselines(
    chosen: "pd.DataFrame",
    embeddings: np.ndarray,
    regression: bool,
    sources: Sequence[Mapping[str, Any]],
    methods: Sequence[str],
    settings: Finetune,
    pooling: str,
    checkpoints: Checkpoints,
) -> list[dict[str, Any]]:
    """Return the records of `score_source` of every source, in their order; a finished source is a checkpoint record.

    chosen, embeddings: the rows of the target that the ranking sees. sources: name, esm and model (folders, None where
    no method needs it), regression.
    """
    target = {
        "labels": chosen["label"].to_numpy(),
        "regression": regression,
        "mean_embedding": embeddings.mean(axis=0, dtype=np.float64),
        "vocabulary": vocabulary(chosen, settings) if "vocabulary" in methods else None,
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
    with np.load(Path(source["esm"]) / SOURCE, allow_pickle=False) as arrays:
        return {
            "regression": source["regression"],
            "rows": about["num_examples"],
            "mean_embedding": arrays["mean_embedding"],
            "vocabulary": arrays["vocabulary"],
            "model_bytes": sum(file.stat().st_size for file in weights),
        }


def _read(
    chosen: "pd.DataFrame", source: Mapping[str, Any], settings: Finetune, pooling: str
) -> tuple[np.ndarray, np.ndarray]:
    from datassay.transfer._pooled import TextModel

    return TextModel(chosen, source["model"], settings, pooling, head=True).with_logits(np.arange(len(chosen)))
