"""Transfer as jobs: a pool of csv files ranked for a target, with a faulty download, a kill, and exact re-runs."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.tiny_bert import WIDTH, words, write_tiny_bert
from tests.workflow.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ABOUT = {"base_model_name": "tiny", "task_id": "hub/one", "num_examples": 9, "esm_embedding_dim": WIDTH}


def write_pool(folder) -> None:
    """Texts whose first word tells the class, of other words in every file; lengths to predict."""
    for number, name in enumerate(["files", "numbers", "target"]):
        rng = np.random.default_rng(number)
        subjects = rng.integers(0, 2 + number % 2, 120)
        texts = [
            f"w{s} {text}" for s, text in zip(subjects, words(rng, 120, 10 * number, 10 * number + 20), strict=True)
        ]
        table = pd.DataFrame({"sentence": texts, "subject": [f"w{s}" for s in subjects]})
        table["length"] = table["sentence"].str.len() / 7
        table.assign(name=[f"{name}{i}" for i in range(120)]).to_csv(folder / f"{name}.csv", index=False)
    shutil.copy(folder / "files.csv", folder / "lengths.csv")
    write_tiny_bert(folder / "tiny")
    good = {"sequential.0.weight": np.eye(WIDTH, dtype=np.float32), "sequential.0.bias": np.zeros(WIDTH, np.float32)}
    for name, tensors in {"one": good, "broken": {"weight": np.eye(3, dtype=np.float32)}}.items():
        (folder / "downloads" / name).mkdir(parents=True)
        (folder / "downloads" / name / "config.json").write_text(json.dumps(ABOUT | {"version": "0.1.0"}))
        save_file(tensors, folder / "downloads" / name / "model.safetensors")


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("transfer pool"))
    write_pool(project.folder)
    project.configure("transfer")
    done = project.snakemake("transfer")
    assert done.returncode == 0, done.stdout
    return project


def test_every_source_is_ranked_and_what_is_faulty_named(ranked) -> None:
    table = pd.read_csv(ranked.folder / "results/transfer/target/ranking.csv")
    assert set(table["Task ID"]) == {"files", "numbers", "lengths", "copied", "hub/one"}
    assert table["Rank"].tolist() == [1, 2, 3, 4, 5] and table["Score"].is_monotonic_decreasing
    assert (table["Standard Error"] > 0).all()
    assert table.loc[table["Duplicate"], "Task ID"].tolist() == ["copied"]
    page = (ranked.folder / "results/transfer/target/ranking.md").read_text()
    assert "downloads/broken" in page.split("## Left out")[1] and "expected model.weight" in page
    index = pd.read_parquet(ranked.folder / "results/transfer/index.parquet")
    assert len(index) == 6 and index.set_index("task_id").loc["copied", "num_examples"] == 60


def test_an_esm_lies_in_the_layout_of_the_hub(ranked) -> None:
    folder = ranked.folder / "resources/esms/tiny/lengths"
    config = json.loads((folder / "config.json").read_text())
    assert config["text_column"] == "sentence,subject" and config["base_model_name"] == "tiny"
    assert config["lm_learning_rate"] == 1e-3 and config["report"]["held_out_rows"] == 6
    assert load_file(folder / "model.safetensors")["model.weight"].shape == (WIDTH, WIDTH)


def test_methods_are_held_against_real_transfers(ranked) -> None:
    table = pd.read_csv(ranked.folder / "results/transfer/evaluation.csv")
    mean = table[table["target"] == "(mean)"].set_index("method")
    methods = {"logme", "leep", "nce", "h_score", "frozen", "text_embedding", "task_embedding", "vocabulary", "size"}
    assert set(mean.index) == methods | {"esm_logme", "random", "one_transfer"}
    assert (mean["regret_1"] >= mean["regret_3"]).all() and (mean["regret_5"] == 0).all()
    assert mean.loc["esm_logme", "bytes"] < mean.loc["logme", "bytes"]
    truth = ranked.folder / "results/transfer/target/ground_truth"
    assert sorted(file.stem for file in truth.glob("*.parquet")) == ["copied", "files", "lengths", "none", "numbers"]
    assert pd.read_parquet(truth / "none.parquet")["seed"].tolist() == [0, 1]


def test_edits_run_only_what_they_change(ranked) -> None:
    try:
        ranked.configure("transfer", **{"seeds: [0, 1]": "seeds: [0, 2]"})
        assert ranked.planned("transfer") == {"make_transfer": 5, "compare_rankings": 1}
        ranked.configure("transfer", **{"nce, h_score": "nce"})
        assert ranked.planned("transfer") == {"score_baselines": 1, "compare_rankings": 1}
        ranked.configure("transfer", **{"registries: [downloads]": "filter: num_examples > 50"})
        assert ranked.planned("transfer") == {"index_esms": 1, "rank_sources": 1, "compare_rankings": 1}
    finally:
        ranked.configure("transfer")
    assert ranked.planned("transfer") == {}


def test_a_killed_source_goes_on_with_the_same_bytes(ranked) -> None:
    esm = ranked.folder / "resources/esms/tiny/numbers"
    before = {file.name: file.read_bytes() for file in sorted(esm.iterdir())}
    shutil.rmtree(esm)
    for point in ("epoch:1", "shard:1"):
        killed = ranked.snakemake(str(esm.relative_to(ranked.folder)), "--retries", "0", DATASSAY_CRASH_AT=point)
        assert killed.returncode != 0 and not esm.exists()
        assert list((ranked.folder / "results/numbers/transfer/tiny").glob(".checkpoints/*/tuned"))
    done = ranked.snakemake(str(esm.relative_to(ranked.folder)))
    assert done.returncode == 0 and "going on after epoch 2/2" in done.stdout, done.stdout
    assert {file.name: file.read_bytes() for file in sorted(esm.iterdir())} == before
