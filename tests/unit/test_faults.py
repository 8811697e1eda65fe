"""Damaged files of every kind, a full disk, and every key of the config misspelt: one line that names the culprit."""

import os
import subprocess
import types
import typing

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import BaseModel

from datassay import storage
from datassay.checkpoints import Checkpoints
from datassay.config import Config
from datassay.errors import DatassayError
from datassay.neighbors import HnswIndex
from datassay.validation import ConfigError, validate

CUTS = {"empty": 0, "one byte": 1, "half": None, "all but one byte": -1}


def written(kind, folder):
    """Write a file of a kind; return it and how it is read."""
    rng = np.random.default_rng(0)
    path = folder / f"file.{kind}"
    if kind == "npy":
        storage.save_array(path, rng.normal(size=(50, 4)))
        return path, lambda: storage.load_array(path)
    if kind == "mapped npy":
        storage.save_array(path, rng.normal(size=(50, 4)))
        return path, lambda: storage.load_array(path, memory_map=True)
    if kind == "npz":
        storage.save_arrays(path, ids=np.arange(50), distances=rng.normal(size=50))
        return path, lambda: (storage.load_member(path, "ids"), storage.load_member(path, "distances"))
    if kind == "parquet":
        storage.save_table(path, pd.DataFrame({"x": rng.normal(size=50), "t": ["text"] * 50}))
        return path, lambda: storage.load_table(path)
    if kind == "json":
        storage.save_json(path, {"a": [1, 2]})
        return path, lambda: storage.load_json(path)
    HnswIndex.build(rng.normal(size=(50, 4)).astype(np.float32)).save(folder / "index.bin", recall={})
    return folder / "index.bin", lambda: HnswIndex.load(folder / "index.bin")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", ["npy", "mapped npy", "npz", "parquet", "json", "index"])
def test_a_file_that_was_cut_off_is_refused_by_name(kind, cut, tmp_path):
    path, read = written(kind, tmp_path)
    read()
    content = path.read_bytes()
    end = len(content) // 2 if CUTS[cut] is None else CUTS[cut]
    if kind == "json" and cut == "all but one byte":
        end -= 1  # its last byte is the end of a line
    path.write_bytes(content[:end])
    with pytest.raises(DatassayError) as raised:
        read()
    assert path.name in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("cut", CUTS)
def test_weights_that_were_cut_off_are_refused(cut, tmp_path):
    from datassay.training.models import HeadClassifier, HeadConfig

    HeadClassifier(HeadConfig(width=4, hidden=(3,), dropout=0.0, num_labels=2)).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 if CUTS[cut] is None else CUTS[cut]])
    with pytest.raises(Exception, match=r".+"):
        HeadClassifier.from_pretrained(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_leaves_the_old_file(small_disk):
    path, table = small_disk / "a.npy", pd.DataFrame({"x": np.random.default_rng(0).normal(size=400_000)})
    storage.save_array(path, np.zeros(10))
    before = path.read_bytes()
    progress = Checkpoints(small_disk, "key")
    for save in (
        lambda: storage.save_array(path, np.zeros(400_000)),
        lambda: storage.save_arrays(small_disk / "a.npz", a=np.zeros(400_000)),
        lambda: storage.save_table(small_disk / "a.parquet", table),
        lambda: storage.save_csv(small_disk / "a.csv", table),
        lambda: storage.save_text(small_disk / "a.txt", "x" * 2_000_000),
        lambda: progress.save("record", {"a": np.zeros(400_000)}),
    ):
        with pytest.raises(DatassayError, match=r"No space left on device|the disk is full") as raised:
            save()
        assert "\n" not in str(raised.value)
    assert path.read_bytes() == before
    assert [file.name for file in small_disk.rglob("*") if file.is_file()] == ["a.npy"]


def blocks(model=Config, trail=()):
    """Yield every block of the config with the keys that lead to it."""
    yield trail, model
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            yield from blocks(inner, (*trail, name))


def models_in(annotation):
    """Return the blocks that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = typing.get_args(annotation) if not isinstance(annotation, types.GenericAlias) else annotation.__args__
    return [model for argument in arguments for model in models_in(argument)]


BLOCKS = {f"{'.'.join(trail) or 'config'}: {model.__name__}": model for trail, model in blocks()}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_key_of_every_block_misspelt_is_named_with_what_was_meant(block):
    model = BLOCKS[block]
    for key in model.model_fields:
        wrong = key[:-1] + "zz" if len(key) > 3 else key + "z"
        with pytest.raises(Exception, match=r"extra_forbidden|Extra inputs|unknown key|not permitted"):
            model.model_validate({wrong: None})


DEFAULT = yaml.safe_load((storage.Path(__file__).resolve().parents[2] / "config.yaml").read_text())


def places(value, trail=()):
    """Yield the keys that lead to every mapping of a config."""
    if isinstance(value, dict):
        yield trail
        for key, inner in value.items():
            yield from places(inner, (*trail, key))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*trail, number))


def changed(trail, change):
    """Return the default config with one of its mappings changed."""
    config = yaml.safe_load(yaml.safe_dump(DEFAULT))
    block = config
    for key in trail:
        block = block[key]
    change(block)
    return config


@pytest.mark.parametrize("trail", list(places(DEFAULT)), ids=lambda trail: ".".join(map(str, trail)) or "config")
def test_every_key_of_the_default_misspelt_or_of_another_type_is_one_line(trail):
    block = DEFAULT
    for key in trail:
        block = block[key]
    for key in block:
        for change in (
            lambda b, key=key: b.update({f"{key}z": b.pop(key)}),
            lambda b, key=key: b.update({key: {"a": [1]}}),
        ):
            with pytest.raises(ConfigError) as raised:
                validate(changed(trail, change))
            lines = str(raised.value).splitlines()
            assert lines and all(line.startswith("config.yaml: ") for line in lines)
            assert any(key in line for line in lines), lines
