"""Probes are learnt like train rows and are nothing else: no consumer takes one for an ordinary example."""

import re

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import Head, Probes
from datassay.data.probes import plant
from datassay.reporting import join_assay, known_noise, list_suspicious, score_detection, train_rows
from datassay.reporting.columns import column_guide
from datassay.reporting.explorer import build_page
from datassay.stages import load_inputs, split_rows
from datassay.storage import save_array, save_table
from datassay.training import retrain, train
from datassay.valuation.jobs import load_data

N, CLASSES, NAMES = 200, 3, ["a", "b", "c"]


@pytest.fixture(scope="module")
def planted():
    """Examples with probes, vectors of all of them, and the probes."""
    rng = np.random.default_rng(0)
    splits = np.array(["train"] * 150 + ["validation"] * 10 + ["valuation"] * 20 + ["test"] * 20)
    labels = np.arange(N) % CLASSES
    examples = pd.DataFrame({"example_id": [f"e{i}" for i in range(N)], "split": splits, "label": labels})
    examples = examples.assign(true_label=labels, is_noisy=False, is_probe=False, text=[f"text {i}" for i in range(N)])
    settings = Probes(suites=["typical", "random_outputs", "random_inputs"], size=10, unseen=6)
    examples, probes = plant(examples, settings, CLASSES, (rng.permutation(150).astype(float),))
    vectors = rng.normal(size=(len(examples), 8)).astype(np.float32)
    vectors[:, :3] += 3 * np.eye(3)[examples["label"]].astype(np.float32)
    return examples, vectors, probes


def head(**settings):
    return Head(**{"name": "m", "recipe": "head", "epochs": 3, "hidden": [16], "batch_size": 16, **settings})


def recorded(examples, vectors, folder):
    return train(examples, vectors, NAMES, head(), 0, Checkpoints(folder, "key"))


def test_probes_are_learnt_and_unseen_rows_are_not(planted, tmp_path):
    examples, vectors, _ = planted
    plain = recorded(examples, vectors, tmp_path / "a")
    assert plain.logits.shape == (3, len(examples), CLASSES)
    assert plain.mc_logits.shape[1] == len(split_rows(examples, "train"))
    for split, learnt in (("probe", True), ("unseen", False)):
        rows = split_rows(examples, split)
        other = examples.copy()
        other.loc[rows, "label"] = (other["label"][rows] + 1) % CLASSES
        same = np.array_equal(recorded(other, vectors, tmp_path / split).logits, plain.logits)
        assert same != learnt, split


def test_retrained_models_see_no_probe(planted):
    examples, vectors, _ = planted
    ordinary = ~examples["is_probe"].to_numpy()
    with_probes = retrain(examples, vectors, NAMES, head(), [0])
    without = retrain(examples[ordinary].reset_index(drop=True), vectors[ordinary], NAMES, head(), [0])
    assert with_probes == without and with_probes[0]["n_kept"] == 150 - 20


def test_what_is_measured_and_valued_are_ordinary_rows(planted, tmp_path):
    examples, vectors, _ = planted
    save_table(tmp_path / "examples.parquet", examples)
    save_array(tmp_path / "vectors.npy", vectors)
    files = {"examples": str(tmp_path / "examples.parquet"), "embeddings": str(tmp_path / "vectors.npy")}
    ordinary = examples[(examples["split"] == "train") & ~examples["is_probe"]]
    measured, arrays = load_inputs(files | {"labels": files["examples"]})
    valued, (train_x, *_) = load_data(files)
    for ids in (measured["example_id"], valued):
        assert ids.tolist() == ordinary["example_id"].tolist()
    np.testing.assert_array_equal(train_x, vectors[ordinary.index])
    assert len(arrays["labels"]) == len(arrays["embeddings"]) == len(ordinary)


def test_what_is_reported_does_not_change_with_probes(planted):
    examples, _, _ = planted
    ordinary = examples[~examples["is_probe"]].reset_index(drop=True)
    rng = np.random.default_rng(1)
    ids = examples.loc[examples["split"] == "train", "example_id"].reset_index(drop=True)
    family = pd.DataFrame(
        {"example_id": ids, "aum": rng.normal(size=len(ids)), "self_confidence": rng.random(len(ids))}
    )
    reports = []
    for table in (examples, ordinary):
        assay = join_assay(table, {"m": {"training_dynamics": family}}, {}, "m", NAMES)
        view = train_rows(assay)
        assert not view["is_probe"].any()
        noise = np.arange(len(view)) % 5 == 0
        reports.append(
            (
                view,
                score_detection(view, noise.astype(float), column_guide()),
                list_suspicious(assay, len(assay), NAMES),
                known_noise(view),
                build_page(assay, table, {"m": family.assign(x=0.0, y=1.0)[["example_id", "x", "y"]]}, name="d"),
            )
        )
    for with_probes, without in zip(*reports, strict=True):
        if isinstance(without, pd.DataFrame):
            pd.testing.assert_frame_equal(with_probes, without, check_dtype=False)
        else:
            assert np.array_equal(with_probes, without)


def test_no_rule_or_script_asks_for_rows_by_the_flag_alone(root):
    """Rows are taken by split, where probes have one of their own; a list of allowed splits keeps newcomers honest."""
    known = {"train", "validation", "valuation", "test", "pool", "probe", "unseen"}
    for path in (root / "workflow_scripts").rglob("*.py"):
        for split in re.findall(r'split_rows\([^)]*?, "(\w+)"\)', path.read_text(encoding="utf-8")):
            assert split in known, f"{path.name}: {split}"
        assert not re.search(r'\["split"\]\s*!=', path.read_text(encoding="utf-8")), f"{path.name}: name the splits"
