"""Sampled values as jobs: shards that are only added to, that survive a kill, and that stop when enough is known."""

import numpy as np
import pandas as pd
import pytest

from tests.workflow.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CONFIG = """
datasets:
  - {{name: digits, source: "builtin:digits", subsample: 150, noise: {{rate: 0.1}}, models: [cnn]}}
encoders:
  - {{name: pixels, kind: pixels, image_size: 8, components: 16}}
models:
  - {{name: cnn, recipe: cnn, epochs: 2, image_size: 8, channels: [8]}}
valuation:
  estimators: [tmc_shapley]
  sampling: {{budget: {budget}, per_shard: 2, at_once: {at_once}, max_rows: {max_rows}, stop: {stop}}}
  options: {{tmc_shapley: {{utility: ridge, tolerance: 0.05}}}}
"""
VALUES = "results/digits/valuation/cnn/tmc_shapley"


def configure(project, budget=4, at_once=1, stop="{rank_correlation: null}", max_rows=5000):
    text = CONFIG.format(budget=budget, at_once=at_once, stop=stop, max_rows=max_rows)
    (project.folder / "config.yaml").write_text(text)


@pytest.fixture(scope="module")
def valued(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("values"))
    configure(project)
    done = project.snakemake("valuation")
    assert done.returncode == 0, done.stdout
    assert "rank correlation of the halves" in done.stdout
    return project


def test_values_and_errors_are_there(valued):
    table = pd.read_parquet(valued.folder / f"{VALUES}.parquet")
    examples = pd.read_parquet(valued.folder / "results/digits/examples.parquet")
    assert table["example_id"].tolist() == examples.loc[examples["split"] == "train", "example_id"].tolist()
    assert (table["standard_error"] >= 0).all() and table["value"].nunique() > 10
    assert table.attrs["sampling"]["shards"] == 2 and table.attrs["sampling"]["units"] == 4


def test_a_larger_budget_adds_shards_only(valued):
    try:
        configure(valued, budget=7)
        assert valued.planned("valuation") == {"value_shard": 2, "check_values": 2, "merge_values": 1}
    finally:
        configure(valued)
    assert valued.planned("valuation") == {}


def test_more_rows_allowed_value_nothing_again(valued):
    try:
        configure(valued, max_rows=9000)
        assert valued.planned("valuation") == {}
    finally:
        configure(valued)


def test_a_killed_shard_goes_on_with_the_same_bytes(valued):
    shard = valued.folder / VALUES / "shard0" / "sums.npz"
    before, values = shard.read_bytes(), (valued.folder / f"{VALUES}.parquet").read_bytes()
    shard.unlink()
    target = f"{VALUES}/shard0/sums.npz"
    killed = valued.snakemake(target, "--retries", "0", DATASSAY_CRASH_AT="unit:1")
    assert killed.returncode != 0 and not shard.exists()
    assert list(shard.parent.glob(".checkpoints/*/units"))
    for wanted in (target, "valuation"):
        done = valued.snakemake(wanted)
        assert done.returncode == 0, done.stdout
    assert shard.read_bytes() == before and not list(shard.parent.glob(".checkpoints"))
    assert (valued.folder / f"{VALUES}.parquet").read_bytes() == values


def test_shards_after_enough_is_known_do_nothing(valued):
    configure(valued, stop="{rank_correlation: null, standard_error: 5}")
    done = valued.snakemake("valuation")
    assert done.returncode == 0, done.stdout
    table = pd.read_parquet(valued.folder / f"{VALUES}.parquet")
    assert table.attrs["sampling"]["shards"] == 1 and "standard error" in table.attrs["sampling"]["stopped_by"]
    with np.load(valued.folder / VALUES / "shard1" / "sums.npz") as sums:
        assert sums["units"].sum() == 0
    configure(valued, at_once=2, stop="{rank_correlation: null, standard_error: 5}")
    assert valued.snakemake("valuation").returncode == 0
    together = pd.read_parquet(valued.folder / f"{VALUES}.parquet")
    pd.testing.assert_frame_equal(table, together)
