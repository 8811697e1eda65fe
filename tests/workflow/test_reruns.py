"""What re-runs when: every edit of the config and exactly the jobs that follow."""

import os
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ONCE = {"summarise": 1, "compare_detectors": 1, "plot_detectors": 1}
REPORT = {"join_assay": 1, "score_detection": 1, "list_suspicious": 1, "plot_report": 1, "follow_removals": 1,
          "plot_removals": 2, "build_explorer": 1, **ONCE}  # fmt: skip
REPORTS = {name: 2 * count for name, count in REPORT.items()} | ONCE
CLEANING = {"choose_kept": 2, "retrain_cleaned": 2, "summarise_cleaning": 1}
EDITS = {
    "nothing": ({}, {}),
    "reordered keys": ({"columns: {text: sentence, label: subject, id: name}": "columns: {id: name, label: subject, text: sentence}"}, {}),
    "number written otherwise": ({"rate: 0.1}\n    models: [tuned]": "rate: 0.10}\n    models: [tuned]"}, {}),
    "a ratio more": ({"ratios: [0.5]": "ratios: [0.5, 0.8]"}, {"retrain": 6, "summarise_pruning": 2}),
    "a strategy more": (
        {"[random, aum,": "[random, aum, hard,"},
        {"rank_examples": 2, "retrain": 2, "summarise_pruning": 2},
    ),
    "a strategy less": ({"[random, aum,": "[random,"}, {"summarise_pruning": 2}),
    "an option of a strategy": (
        {"ratios: [0.5]": "ratios: [0.5]\n  options: {infoverse_dpp: {quality: uniform}}"},
        {"rank_examples": 2, "retrain": 2, "summarise_pruning": 2},
    ),
    "a measure option": (
        {"pruning:": "meta_information: {options: {label_quality: {folds: 3}}}\npruning:"},
        {"measure": 2, **REPORTS},
    ),
    "a value option": (
        {"pruning:": "valuation: {options: {knn_shapley: {k: 3}}}\npruning:"},
        {"value": 2, **REPORTS, **{name: 2 * count for name, count in CLEANING.items()}},
    ),
    "another recall": ({"max_length: 32, shard_rows: 64, index: {recall_at: 5}": "max_length: 32, shard_rows: 64, index: {recall_at: 6}"}, {"build_index": 1}),
    "more stored neighbours": (
        {"neighbors: {k: 15}": "neighbors: {k: 16}"},
        {"find_neighbors": 2, "find_feature_neighbors": 2, "map_embeddings": 2, "map_model": 2, "measure": 4,
         "join_infoverse": 2, "rank_examples": 2, "retrain": 2, "summarise_pruning": 2,
         **REPORTS},
    ),
    "a rule of cleaning less": ({"pruning:": "cleaning: {rules: [threshold]}\npruning:"}, {"summarise_cleaning": 2}),
    "other shares to choose from": (
        {"pruning:": "cleaning: {shares: [0.1]}\npruning:"},
        {name: 2 * count for name, count in CLEANING.items()},
    ),
    "finer curves": (
        {"pruning:": "detection: {steps: 10}\npruning:"},
        {"follow_removals": 2, "plot_removals": 4, "compare_detectors": 1, "plot_detectors": 1},
    ),
    "steps of the maps": ({"iterations: 30": "iterations: 40"}, {"map_embeddings": 2, "map_model": 2, "build_explorer": 2}),
    "epochs of the retrained model": (
        {"encoder: minilm, epochs: 5": "encoder: minilm, epochs: 6"},
        {"retrain": 4, "summarise_pruning": 1, "retrain_cleaned": 2, "summarise_cleaning": 1},
    ),
    "epochs of the measured model": (
        {"recipe: cnn, epochs: 3": "recipe: cnn, epochs: 4"},
        {"train": 2, "find_feature_neighbors": 1, "measure": 6, "score_features": 1, "join_infoverse": 1,
         "map_model": 1, "rank_examples": 2, "retrain": 2, "summarise_pruning": 1, **REPORT},
    ),
    "the noise of one data set": (
        {"rate: 0.1}\n    models: [cnn]": "rate: 0.2}\n    models: [cnn]"},
        {"prepare_dataset": 1, "plot_data_card": 1, "embed": 1, "find_neighbors": 1, "map_embeddings": 1, "build_index": 1,
         "train": 2, "find_feature_neighbors": 1, "map_model": 1, "measure": 6, "score_features": 1, "join_infoverse": 1, "value": 1, "rank_examples": 4, "retrain": 4,
         "summarise_pruning": 1, **REPORT, **CLEANING},
    ),
    "GPUs and threads": ({"recipe: cnn, epochs: 3": "recipe: cnn, gpu: 1, retrain: image_head, epochs: 3", "mc_passes: 3, retrain: image_head}": "mc_passes: 3}"}, {}),
    "points of the page": ({"pruning:": "report: {explorer: {max_points: 100}}\npruning:"}, {"build_explorer": 2}),
    "examples shown": ({"pruning:": "report: {suspicious: 3}\npruning:"}, {"summarise": 1}),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_re_runs_exactly_what_depends_on_it(finished, edit):
    replace, expected = EDITS[edit]
    finished.configure("small", **replace)
    try:
        planned = finished.planned()
    finally:
        finished.configure("small")
    planned.pop("write_config", None)
    assert planned == expected


def test_touching_every_file_of_the_checkout_re_runs_nothing(finished):
    """A git checkout gives scripts and rules new time stamps."""
    touched = [p for folder in ("rules", "workflow_scripts") for p in (ROOT / folder).rglob("*") if p.is_file()]
    before = {path: path.stat() for path in [ROOT / "Snakefile", *touched]}
    now = time.time() + 5
    try:
        for path in before:
            os.utime(path, (now, now))
        assert finished.planned() == {}
    finally:
        for path, stat in before.items():
            os.utime(path, (stat.st_atime, stat.st_mtime))


def test_touching_unchanged_results_re_runs_nothing_in_a_row(copy):
    """Files that are touched in the order in which they were made stay newer than what they come from."""
    paths = sorted((copy.folder / "results").rglob("*"), key=lambda p: p.stat().st_mtime_ns)
    for number, path in enumerate(p for p in paths if p.is_file()):
        os.utime(path, (time.time(), time.time() + number * 1e-3))
    assert copy.planned() == {}


def test_a_changed_source_file_re_runs_its_data_set_only(copy):
    with (copy.folder / "sentences.csv").open("a") as file:
        file.write("extra,A sentence about files that were opened and closed again,files\n")
    planned = copy.planned()
    assert planned["prepare_dataset"] == 1 and planned["train"] == 2


def test_a_new_measure_in_one_file_runs_one_job_per_data_set(copy):
    Path(copy.folder / "mine.py").write_text(
        '"""My measure."""\n'
        "from datassay.registry import Column, measure\n"
        '@measure(version=1, source="Me 2026", columns=[Column("label_length", "characters of the label", None)])\n'
        "def label_length(labels):\n"
        '    """Return the label itself as a number."""\n'
        "    return labels.astype(float)\n"
    )
    families = "[training_dynamics, ensemble, mc_dropout, static, pretrained, label_quality, label_length]"
    copy.configure(
        "small", **{"pruning:": f"extensions: [mine.py]\nmeta_information: {{families: {families}}}\npruning:"}
    )
    planned = copy.planned()
    planned.pop("write_config", None)
    assert planned == {"measure": 2, **REPORTS}
    done = copy.snakemake("results/digits/assay.parquet")
    assert done.returncode == 0, done.stdout
    import pandas as pd

    assert pd.read_parquet(copy.folder / "results/digits/assay.parquet")["label_length"].notna().any()
    text = (copy.folder / "mine.py").read_text()
    (copy.folder / "mine.py").write_text(text.replace("astype(float)", "astype(float) + 1"))
    assert copy.planned("results/digits/assay.parquet")["measure"] == 1, "an edit of one's own file re-runs it"
