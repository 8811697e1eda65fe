"""The workflow itself, run on small real data."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datassay.registry import methods
from tests.workflow.conftest import ROOT, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_config_with_everything_on_can_be_planned(tmp_path):
    project = Project(tmp_path)
    for name in ("a.csv", "b.csv", "a.tsv", "a.jsonl", "a.parquet", "own.npy"):
        (tmp_path / name).write_text("")
    (tmp_path / "pictures").mkdir()
    project.configure("everything", ALL=", ".join(methods("strategy")))
    planned = project.planned()
    texts, images = 9, 12  # pairs of a data set and a model; one of the text data sets has one model
    pairs = texts + images
    strategies = len(methods("strategy")) - 1
    assert planned["prepare_dataset"] == 8
    assert planned["measure"] == pairs * 6
    assert planned["retrain"] == pairs * (strategies * 3 + 1)
    assert planned["rank_examples"] == pairs * (strategies + 1)
    assert planned["score_likelihood"] == 5, "of texts once per data set"
    assert planned["score_features"] == images


def test_everything_that_was_promised_is_there(finished):
    for dataset, model in (("sentences", "tuned"), ("digits", "cnn")):
        results = finished.folder / "results" / dataset
        assay = pd.read_parquet(results / "assay.parquet")
        train = assay[assay["split"] == "train"]
        for column in ("avg_conf", "aum", "ens_bald", "mc_entropy", "task_density", "semantic_density", "knn_shapley"):
            assert train[column].notna().all() and train[column].nunique() > 1, column
        assert assay.loc[assay["split"] != "train", "aum"].isna().all()
        logits = np.load(results / "training" / model / "seed0" / "logits.npy")
        assert len(assay) == logits.shape[1]
        others = np.load(results / "training" / model / "seed1" / "logits.npy")
        assert not np.array_equal(logits, others), "seeds must differ"
        for figure in ("data_map", "training_curves", "distributions", "correlation", "detection", "values"):
            with Image.open(results / "report" / model / f"{figure}.png") as image:
                assert image.width > 600
        assert (results / "report" / "data_card.png").stat().st_size > 10_000


def test_seeds_and_epochs_show_in_the_measures(finished):
    """The released infoVerse code loads one checkpoint for all of them, which makes these columns rounding noise."""
    for dataset in ("sentences", "digits"):
        assay = pd.read_parquet(finished.folder / "results" / dataset / "assay.parquet")
        for column in ("variability", "ens_variability", "ens_bald", "mc_variability"):
            assert assay[column].max() > 1e-3, (dataset, column)


def test_likelihood_is_there_for_images_and_explained_for_texts(finished):
    images = pd.read_parquet(finished.folder / "results/digits/meta_information/cnn/pretrained.parquet")
    texts = pd.read_parquet(finished.folder / "results/sentences/meta_information/tuned/pretrained.parquet")
    assert images["pseudo_log_likelihood"].nunique() > 1
    assert "language_model" in texts.attrs["absent"]["pseudo_log_likelihood"]


def test_pruning_compares_with_random_and_full(finished):
    table = pd.read_parquet(finished.folder / "results/digits/pruning/cnn/comparison.parquet")
    lead = table[(table["metric"] == "accuracy") & (table["split"] == "test")]
    assert sorted(zip(lead["strategy"], lead["ratio"], strict=True)) == [
        ("aum", 0.5), ("full", 1.0), ("infoverse_dpp", 0.5), ("random", 0.5),
    ]  # fmt: skip
    assert (table["seeds"] == 2).all()
    assert lead.set_index("strategy").loc["full", "mean"] > 0.5
    rows = pd.read_parquet(finished.folder / "results/digits/pruning/cnn/aum/ratio0.5.parquet")
    ranking = pd.read_parquet(finished.folder / "results/digits/pruning/cnn/aum/ranking.parquet")
    assert rows["n_kept"].tolist() == [round(0.5 * 144)] * 2
    assert len(ranking) >= 0.9 * 144


def test_the_screen_shows_progress_and_findings(finished):
    assert re.search(r"\[train sentences tuned 0\] epoch 1/2: loss \d", finished.screen)
    assert re.search(r"\d+ of \d+ steps", finished.screen)
    assert "most likely mislabelled" in finished.screen
    assert "results/digits" in finished.screen


def test_no_progress_records_or_temporary_files_are_left(finished):
    left = [p for p in (finished.folder / "results").rglob("*") if p.name == ".checkpoints" or ".tmp-" in p.name]
    assert left == []


def test_models_load_with_from_pretrained(finished):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = finished.folder / "results/sentences/training/tuned/seed0/model"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert sorted(model.config.id2label.values()) == ["files", "numbers", "text"]
    assert AutoTokenizer.from_pretrained(folder)("one two")["input_ids"]


def test_the_html_report_holds_the_figures(finished):
    done = finished.snakemake("--report", "report.html")
    assert done.returncode == 0, done.stdout
    text = (finished.folder / "report.html").read_text()
    assert all(name in text for name in ("data_map", "detection", "pruning_comparison", "pruning_curves", "suspicious"))


def test_lint_finds_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
