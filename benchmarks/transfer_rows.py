"""Rows about transfer: LogME, and rankings of embedding space maps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rows import Arrays, Row, require, save


def _features(n: int, d: int, classes: int) -> Callable[[Path, bool], dict[str, Any]]:
    """Return what writes correlated features [n, d], as embeddings are, and labels that hang on them."""

    def write(folder: Path, quick: bool) -> dict[str, Any]:
        rows, width = (n // 10, d // 8) if quick else (n, d)
        rng = np.random.default_rng(11)
        mixed = rng.standard_normal((rows, width), np.float32) @ rng.standard_normal((width, width), np.float32)
        x = mixed * (1 / np.arange(1, width + 1, dtype=np.float32)) + 0.3
        noisy = x @ rng.standard_normal((width, classes)) + 3 * rng.standard_normal((rows, classes))
        labels = noisy.argmax(axis=1)
        labels[:classes] = np.arange(classes)
        save(folder, features=x, labels=labels)
        return {}

    return write


def _maps(count: int) -> Callable[[Path, bool], dict[str, Any]]:
    """Return what writes a target of 1,000 rows and one matrix from which `count` maps are made on the fly."""
    write_target = _features(1000, 768, 4)

    def write(folder: Path, quick: bool) -> dict[str, Any]:
        write_target(folder, quick)
        width = np.load(folder / "features.npy", mmap_mode="r").shape[1]
        save(folder, noise=np.random.default_rng(12).standard_normal((width, width), np.float32) / width**0.5)
        return {"count": count // 10 if quick else count}

    return write


def _six_digits(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    difference = float(np.max(np.abs(ours - peer) / np.abs(peer)))
    return require(difference <= 1e-6, f"score {np.ravel(ours)[0]:.6f}, largest relative difference {difference:.0e}")


def _scored(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    return require(len(ours) == options["count"] and bool(np.isfinite(ours).all()), f"{len(ours)} finite scores")


def transfer_rows() -> list[Row]:
    """Return the rows in the order of the report."""
    sides = {"logme_datassay": "datassay", "logme_published": "published fixed point"}
    sizes = ((20_000, 768, 5, 0.4), (20_000, 384, 100, 0.09), (1000, 768, 2, 0.1))
    return [
        *(
            Row(
                f"logme_{n}_{d}_{c}",
                f"LogME, {n:,} x {d}, {c} classes",
                f"<= {reach} s",
                _features(n, d, c),
                sides,
                _six_digits,
            )
            for n, d, c, reach in sizes
        ),
        Row(
            "esm_ranking",
            "100 linear ESMs, width 768, one target of 1,000 rows",
            "<= 0.3 s per ESM, <= 500 MB",
            _maps(100),
            {
                "ranking_datassay": "datassay",
                "ranking_by_transform": "every map applied, our LogME",
                "ranking_published": "every map applied, published fixed point",
            },
            _six_digits,
        ),
        Row(
            "esm_ranking_scale",
            "1,500 linear ESMs, width 768, one target of 1,000 rows",
            "<= 0.3 s per ESM, <= 500 MB",
            _maps(1500),
            {"ranking_datassay": "datassay"},
            _scored,
        ),
    ]
