"""Vectors that a user brings: matched by id or by row, as they are, and refused in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay import plan
from datassay.checkpoints import Checkpoints
from datassay.config import Config, Encoder
from datassay.config.checks import cross_checks
from datassay.encoders import embed
from datassay.errors import DatassayError

IDS = ["b", "a", "d", "c"]
EXAMPLES = pd.DataFrame({"example_id": IDS, "text": IDS, "split": "train"})
VECTORS = np.random.default_rng(0).normal(size=(6, 3)) * 4
FILE_IDS = np.array(["x", "a", "b", "c", "d", "e"])
WANTED = VECTORS[[2, 1, 4, 3]].astype(np.float32)


def write(path: Path, vectors=VECTORS, ids=FILE_IDS) -> Path:
    if path.suffix == ".npz":
        np.savez(path, vectors=vectors, example_id=ids)
    elif path.suffix == ".parquet":
        pd.DataFrame({"example_id": ids, "vector": list(vectors)}).to_parquet(path)
    else:
        np.save(path, vectors)
    return path


def embedded(path: Path, folder: Path, **settings) -> np.ndarray:
    encoder = Encoder(name="own", kind="vectors", path=str(path), **settings)
    embed(EXAMPLES, encoder, Checkpoints(folder, "key"), folder / "out.npy")
    return np.load(folder / "out.npy")


@pytest.mark.parametrize("kind", [".npz", ".parquet"])
def test_ids_decide_which_vector_belongs_to_which_example(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"own{kind}")
    np.testing.assert_array_equal(embedded(path, tmp_path, unit_length=False, shard_rows=3), WANTED)
    unit = WANTED / np.linalg.norm(WANTED, axis=1, keepdims=True)
    np.testing.assert_allclose(embedded(path, tmp_path / "unit"), unit, atol=1e-6)


def test_an_npy_holds_one_row_per_example_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "own.npy", WANTED)
    np.testing.assert_array_equal(embedded(path, tmp_path, unit_length=False), WANTED)
    with pytest.raises(DatassayError, match="6 rows for 4 examples; give one for each"):
        embedded(write(tmp_path / "more.npy"), tmp_path / "more")


@pytest.mark.parametrize(
    ("name", "vectors", "ids", "message"),
    [
        ("a.npz", VECTORS, np.array(list("xabcee")), "no vector for 1 of 4|'e' is there twice"),
        ("a.parquet", VECTORS, np.array(list("xabccd")), "'c' is there twice"),
        ("a.npz", VECTORS[:3], np.array(list("abc")), "no vector for 1 of 4 examples, first 'd'"),
        ("a.npz", VECTORS[:, 0], FILE_IDS, "expected a numeric matrix"),
        ("a.npz", VECTORS[:4], FILE_IDS, "4 vectors for 6 example_id, needs as many of each"),
        ("a.parquet", [[1.0], [1.0, 2.0], [1.0], [1.0], [1.0], [1.0]], FILE_IDS, "all of one length"),
        (
            "a.npz",
            np.where(np.isclose(VECTORS, VECTORS[2, 0]), np.nan, VECTORS),
            FILE_IDS,
            "row 0 is not finite, correct",
        ),
    ],
)
def test_what_does_not_fit_is_named(name: str, vectors, ids, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatassayError, match=message) as caught:
        embedded(write(tmp_path / name, vectors, ids), tmp_path)
    assert "\n" not in str(caught.value) and "a." in str(caught.value)


def test_other_files_and_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", vectors=VECTORS, example_id=np.array(list("xabcde"), dtype=object))
    (tmp_path / "own.csv").write_text("a\n")
    np.save(tmp_path / "one.npz", VECTORS)
    (tmp_path / "one.npz.npy").rename(tmp_path / "one.npz")
    for suffix in ("npy", "npz", "parquet"):
        (tmp_path / f"damaged.{suffix}").write_bytes(b"PK\x03\x04 damaged")
    for name, message in [
        ("objects.npz", "needs the arrays"),
        ("one.npz", "needs the arrays"),
        ("own.csv", "read from .npy, .npz or .parquet"),
        *((f"damaged.{suffix}", r"cannot be read \(.*\), needs") for suffix in ("npy", "npz", "parquet")),
    ]:
        with pytest.raises(DatassayError, match=message):
            embedded(tmp_path / name, tmp_path / "out")


def test_a_path_belongs_to_vectors_alone() -> None:
    for settings in ({"kind": "vectors"}, {"kind": "pixels", "path": "a.npy"}):
        with pytest.raises(ValueError, match="path"):
            Encoder(name="own", **settings)


def test_only_a_data_set_that_names_the_vectors_uses_them(tmp_path: Path) -> None:
    raw = {
        "datasets": [
            {"name": "plain", "source": "builtin:docstrings"},
            {"name": "brought", "source": "builtin:docstrings", "encoders": ["own"]},
        ],
        "encoders": [
            {"name": "minilm", "kind": "sentence_transformer"},
            {"name": "own", "kind": "vectors", "path": str(tmp_path / "own.npy")},
        ],
        "models": [
            {"name": "on_own", "recipe": "head", "encoder": "own"},
            {"name": "on_minilm", "recipe": "head", "encoder": "minilm"},
        ],
    }
    config = Config.model_validate(raw)
    names = {d.name: [m.name for m in plan.models_of(config, d)] for d in config.datasets}
    assert names == {"plain": ["on_minilm"], "brought": ["on_own", "on_minilm"]}
    assert [e.name for e in plan.encoders_of(config, config.datasets[0])] == ["minilm"]
    faults = dict(cross_checks(config))
    assert "no file" in faults.pop("encoders[own].path") and not faults
