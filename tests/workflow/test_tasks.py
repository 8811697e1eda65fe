"""A regression and a multiple choice from the source to the summary, and presets from the command line."""

import csv
import json

import pandas as pd
import pytest

from tests.workflow.conftest import ROOT, Project, docstrings_csv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROWS = 80


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("tasks"))
    docstrings_csv(project.folder / "sentences.csv")
    with (project.folder / "sentences.csv").open(encoding="utf-8") as file:
        texts = [row["sentence"] for row in csv.DictReader(file)][:ROWS]
    pairs = pd.DataFrame({"first": texts, "second": texts[::-1]})
    pairs.assign(words=pairs["first"].str.count(" ") / 2).to_csv(project.folder / "lengths.csv", index=False)
    with (project.folder / "blanks.jsonl").open("w", encoding="utf-8") as file:
        for row, text in enumerate(texts):
            first, _, rest = text.partition(" ")
            options = [first, "banana"] if row % 2 else ["banana", first]
            row = {"sentence": f"_ {rest}", "option1": options[0], "option2": options[1], "answer": 2 - row % 2}
            file.write(json.dumps(row) + "\n")
    project.configure("tasks")
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    project.screen = done.stdout
    return project


def test_a_regression_is_assayed_without_classes(project):
    assay = pd.read_parquet(project.folder / "results/lengths/assay.parquet")
    train = assay[assay["split"] == "train"]
    assert assay["label"].dtype == "float64" and train["suspicion"].notna().all()
    assert train[["mean_abs_error", "ens_std", "held_out_error", "task_density"]].notna().all().all()
    assert not {"avg_conf", "aum", "confidence", "self_confidence", "knn_shapley"} & set(assay)
    listed = pd.read_csv(project.folder / "results/lengths/report/tuned/suspicious.csv")
    assert listed["suggested_label"].notna().all() and "text_b" in listed
    metrics = pd.read_parquet(project.folder / "results/lengths/training/tuned/seed0/metrics.parquet")
    assert {"pearson", "spearman", "rmse"} <= set(metrics) and metrics["pearson"].notna().all()
    grid = pd.read_parquet(project.folder / "results/lengths/pruning/tuned/comparison.parquet")
    assert set(grid["metric"]) >= {"pearson", "spearman"}


def test_a_multiple_choice_is_assayed_without_shared_classes(project):
    assay = pd.read_parquet(project.folder / "results/blanks/assay.parquet")
    assert set(assay["label"]) == {"1", "2"} and assay["options"].str.contains(" / ").all()
    train = assay[assay["split"] == "train"]
    assert train[["avg_conf", "ens_el2n", "mc_entropy", "confidence", "task_density"]].notna().all().all()
    assert not {"relative_density", "badge_norm", "self_confidence", "knn_shapley"} & set(assay)
    listed = pd.read_csv(project.folder / "results/blanks/report/chooser/suspicious.csv")
    assert set(listed["suggested_label"]) <= {1, 2} and "options" in listed
    detection = pd.read_parquet(project.folder / "results/blanks/report/chooser/detection.parquet")
    assert {"avg_conf", "aum", "suspicion"} <= set(detection["column"])


def test_the_summary_leads_with_the_metric_and_says_what_was_left_out(project):
    summary = " ".join((project.folder / "results/summary.txt").read_text().split())
    lengths, _, blanks = summary.partition("blanks -> ")
    assert "test Pearson correlation of tuned" in lengths and "test accuracy of chooser" in blanks
    assert "training_dynamics, ensemble, mc_dropout, label_quality, knn_shapley, relative_density" in lengths
    assert "label_quality" in blanks and "relative_density" in blanks
    assert "training_dynamics" not in blanks


@pytest.mark.parametrize(("preset", "strategies"), [("stsb", 6), ("cola", 17), ("winogrande_xl", None)])
def test_a_preset_plans_from_the_command_line(tmp_path, preset, strategies):
    project = Project(tmp_path)
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    planned = project.planned("pruning", "--configfile", str(ROOT / f"resources/presets/{preset}.yaml"))
    assert planned["train"] == 3 and planned["prepare_dataset"] == 1
    assert strategies is None or planned["retrain"] == 1 + 9 * strategies
    assert planned["retrain"] == 1 + 9 * (planned["rank_examples"] - 1)
