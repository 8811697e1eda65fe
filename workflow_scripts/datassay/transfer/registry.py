"""The folder of an embedding space map: config.json, model.safetensors and a model card, as they lie on the hub.

What hf-dataset-selector publishes is read, in its legacy layout too, and what is written here is what it reads. Nothing
is ever unpickled.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import DatassayError
from datassay.storage import PathLike, atomic_path, save_arrays
from datassay.transfer.maps import EmbeddingSpaceMap

if TYPE_CHECKING:
    import pandas as pd

CONFIG, WEIGHTS, CARD, SOURCE = "config.json", "model.safetensors", "README.md", "source.npz"
VERSION = "0.2.0"  # of the layout; 0.1.0 is the legacy one, whose keys begin with "sequential."
TEXT = ("base_model_name", "task_id", "task_subset", "text_column", "label_column", "task_split", "language")
TRAINING = ("num_epochs", "batch_size", "learning_rate", "weight_decay", "optimizer")
NUMBERS = ("num_examples", "seed", "esm_embedding_dim")
FIELDS = (
    *TEXT,
    *NUMBERS,
    "esm_architecture",
    *(f"{part}_{name}" for part in ("lm", "esm") for name in TRAINING),
    "developers",
    "version",
)
INDEX = ("folder", *FIELDS, "bytes", "mse", "mse_identity", "cosine", "fault")


def save_esm(
    folder: PathLike, esm: EmbeddingSpaceMap, about: Mapping[str, Any], source: Mapping[str, np.ndarray] | None = None
) -> None:
    """Save a map, what it is about and its model card as a folder, atomically.

    about: keys of `FIELDS`, base_model_name and task_id at least. source: arrays about the source's texts, which stay
    here and are never published.
    """
    from safetensors.numpy import save_file

    if unknown := sorted(set(about) - set(FIELDS)):
        raise DatassayError(f"{folder}: '{unknown[0]}' is no field of an ESM's config")
    if not about.get("base_model_name") or not about.get("task_id"):
        raise DatassayError(f"{folder}: an ESM needs base_model_name and task_id")
    config = dict.fromkeys(FIELDS) | dict(about)
    config |= {"esm_architecture": esm.architecture, "esm_embedding_dim": esm.width, "version": VERSION}
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        text = json.dumps(config | {"report": esm.report}, indent=2, sort_keys=True, ensure_ascii=False)
        (temporary / CONFIG).write_text(text + "\n", encoding="utf-8")
        save_file(_tensors(esm), temporary / WEIGHTS)
        (temporary / CARD).write_text(model_card(config, esm.report), encoding="utf-8")
        if source is not None:
            save_arrays(temporary / SOURCE, **dict(source))


def load_esm(folder: PathLike) -> tuple[dict[str, Any], EmbeddingSpaceMap]:
    """Return what an ESM is about (`FIELDS`) and the map itself. Raises DatassayError that names folder and fault."""
    about = read_config(folder)
    layers = _layers(Path(folder) / WEIGHTS)
    widths = [layers[0][0].shape[1], *(len(bias) for _, bias in layers)]
    for number, (weight, bias) in enumerate(layers):
        if weight.shape != (widths[number + 1], widths[number]):
            raise DatassayError(f"{folder}: layer {number} is {weight.shape}, its bias {bias.shape}, they do not fit")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise DatassayError(f"{folder}: a weight is not finite")
    named = about["esm_embedding_dim"]
    if named is not None and named != widths[0]:
        raise DatassayError(f"{folder}: {CONFIG} says {named} numbers per embedding, the weights take {widths[0]}")
    return about, EmbeddingSpaceMap(layers, about["report"])


def read_config(folder: PathLike) -> dict[str, Any]:
    """Return the fields of an ESM's config.json, None where it names none, and its report ({} where it has none)."""
    path = Path(folder) / CONFIG
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatassayError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise DatassayError(f"{path}: expected keys and values, found {type(content).__name__}")
    about = {name: content.get(name) for name in FIELDS}
    if isinstance(about["text_column"], list):
        about["text_column"] = ",".join(map(str, about["text_column"]))
    for name in ("base_model_name", "task_id"):
        if not isinstance(about[name], str) or not about[name]:
            raise DatassayError(f"{path}: {name} is {about[name]!r}, needs a text")
    report = content.get("report")
    return about | {"report": report if isinstance(report, dict) else {}}


def _tensors(esm: EmbeddingSpaceMap) -> dict[str, np.ndarray]:
    """Return the weights by the names they have on the hub: those of the attribute `model` of its class."""
    names = ["model"] if len(esm.layers) == 1 else [f"model.{2 * number}" for number in range(len(esm.layers))]
    tensors = {}
    for name, (weight, bias) in zip(names, esm.layers, strict=True):
        tensors[f"{name}.weight"] = np.ascontiguousarray(weight, dtype=np.float32)
        tensors[f"{name}.bias"] = np.ascontiguousarray(bias, dtype=np.float32)
    return tensors


def _layers(path: Path) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Return the layers in order: keys model.*, sequential.* (legacy) or bare weight and bias."""
    from safetensors.numpy import load_file

    if not path.is_file():
        raise DatassayError(f"{path}: no such file; weights in other formats are not read")
    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors raises its own kinds on a damaged file
        raise DatassayError(f"{path}: cannot be read ({' '.join(str(error).split())[:100]})") from error
    names = sorted({key.rpartition(".")[0] for key in tensors}, key=lambda name: (len(name), name))
    expected = {f"{name}.{part}".lstrip(".") for name in names for part in ("weight", "bias")}
    if not names or set(tensors) != expected or len({name.split(".")[0] for name in names}) > 1:
        found = ", ".join(sorted(tensors)[:4]) or "nothing"
        raise DatassayError(f"{path}: holds {found}; expected model.weight and model.bias, or sequential.0.weight, ...")
    layers = [(tensors[f"{name}.weight".lstrip(".")], tensors[f"{name}.bias".lstrip(".")]) for name in names]
    if any(weight.ndim != 2 or bias.ndim != 1 for weight, bias in layers):
        raise DatassayError(f"{path}: a weight is no matrix, or a bias no vector")
    return tuple(layers)


def index_esms(folders: Iterable[PathLike]) -> "pd.DataFrame":
    """Return one row per ESM folder: folder, its fields, bytes, errors on held-out rows, and fault (None: none).

    A faulty ESM has its reason in `fault`; it stops nothing. Reads the configs only, not the weights.
    """
    import pandas as pd

    rows = []
    for folder in map(str, folders):
        row: dict[str, Any] = dict.fromkeys(INDEX) | {"folder": folder}
        try:
            about = read_config(folder)
            report = about.pop("report")
            row |= about | {name: report.get(name) for name in ("mse", "mse_identity", "cosine")}
            weights = Path(folder) / WEIGHTS
            if not weights.is_file():
                raise DatassayError(f"{weights}: no such file; weights in other formats are not read")
            row["bytes"] = weights.stat().st_size
        except DatassayError as error:
            row["fault"] = str(error)
        rows.append(row)
    table = pd.DataFrame(rows, columns=list(INDEX))
    numbers = [name for name in INDEX if name in NUMBERS or name in ("bytes", "mse", "mse_identity", "cosine")]
    for name in (*numbers, *(f"{part}_{key}" for part in ("lm", "esm") for key in TRAINING[:-1])):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table


def esm_folders(root: PathLike) -> list[str]:
    """Return the folders below root (root itself among them) that hold a config.json, sorted."""
    return sorted(str(path.parent) for path in Path(root).rglob(CONFIG))


def model_card(config: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Return the model card: front matter by which the hub finds the ESM, how it was made and how well it does."""
    import yaml

    front = {
        "base_model": config["base_model_name"],
        "datasets": [config["task_id"]],
        "license": "apache-2.0",
        "tags": ["embedding_space_map", f"BaseLM:{config['base_model_name']}"],
    }
    made = "\n".join(f"| {name} | {config[name]} |" for name in FIELDS if config[name] is not None)
    measured = "\n".join(f"| {name} | {value} |" for name, value in sorted(report.items()) if value is not None)
    return (
        f"---\n{yaml.safe_dump(front, sort_keys=True)}---\n\n# ESM {config['task_id']}\n\n"
        "An embedding space map: a function from the embedding of a text by "
        f"`{config['base_model_name']}` to about what the same model would say after fine-tuning on "
        f"`{config['task_id']}`. A ranking of such maps by LogME says on which data set to fine-tune first "
        "(Schulte et al., EMNLP 2024, https://aclanthology.org/2024.emnlp-main.529/).\n\n"
        f"| made from | |\n|---|---|\n{made}\n"
        + (f"\n| on held-out rows | |\n|---|---|\n{measured}\n" if measured else "")
    )
