"""Rounds of annotation on real data: a batch goes out, answers come back, a bad file changes nothing."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from tests.unit.tiny_bert import write_tiny
from tests.workflow.conftest import Project, docstrings_csv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
HOME = "results/sentences/annotation"


@pytest.fixture(scope="module")
def first_round(tmp_path_factory):
    """A project whose first batches were written, and nothing else was computed."""
    project = Project(tmp_path_factory.mktemp("annotation é"))
    docstrings_csv(project.folder / "sentences.csv")
    write_tiny(project.folder / "language", "gpt2")
    project.configure("annotation")
    done = project.snakemake("annotate")
    assert done.returncode == 0, done.stdout
    project.screen = done.stdout
    return project


@pytest.fixture
def project(first_round, tmp_path):
    """A copy that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(first_round.folder, folder, symlinks=True)
    return Project(folder)


def answer(project: Project, name: str, round_number: int, wrong: int = 0) -> list[str]:
    """Answer the tasks of a round as Label Studio would export them; return the ids."""
    source = pd.read_parquet(project.folder / HOME / "source.parquet").set_index("example_id")
    names = json.loads((project.folder / HOME / "source.json").read_text())["label_names"]
    tasks = json.loads((project.folder / HOME / f"round_{round_number}/label_studio.json").read_text())
    for number, task in enumerate(tasks):
        label = names[(source["true_label"][task["data"]["example_id"]] + (number < wrong)) % len(names)]
        result = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
        task["annotations"] = [{"completed_by": 1, "was_cancelled": False, "result": [result]}]
    drop(project, name, json.dumps(tasks))
    return [task["data"]["example_id"] for task in tasks]


def drop(project: Project, name: str, content: str) -> None:
    """Put a file where answers are looked for."""
    path = project.folder / "resources/annotations/sentences" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def states(project: Project) -> dict[str, tuple[int, bytes]]:
    """Time stamp and content of every result, logs left out."""
    files = [p for p in (project.folder / "results").rglob("*") if p.is_file() and "logs" not in p.parts]
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in files if "benchmarks" not in p.parts}


def test_batches_are_of_the_pool_and_in_every_form(first_round):
    assert first_round.planned("annotate") == {}
    for name, content in (("sentences", "text"), ("digits", "image")):
        folder = first_round.folder / f"results/{name}/annotation/round_1"
        batch = pd.read_csv(folder / "batch.csv")
        home = f"results/{name}/annotation/round_1/batch.csv"
        step = f"8 rows to label: {home}; put the answers into resources/annotations/{name}/round_1.csv"
        assert first_round.screen.count(step) == 1
        source = pd.read_parquet(folder.parent / "source.parquet").set_index("example_id")
        assert len(batch) == 8 and (source.loc[batch["id"], "split"] == "pool").all() and content in batch
        assert len(json.loads((folder / "label_studio.json").read_text())) == 8
        assert len(pd.read_csv(folder / "mturk.csv")) == 1
        counts = json.loads((folder / "filters.json").read_text())
        assert set(counts["filters"]) >= {"exact_duplicates", "near_duplicates"} and counts["left"] <= counts["pool"]
        assert ("max_perplexity" in counts["filters"]) == (content == "text")
    likelihood = np.load(first_round.folder / HOME / "pool_likelihood.npy")
    assert len(likelihood) == counts["pool"] and (likelihood < 0).all(), "both pools are half of 200 rows"
    image = first_round.folder / "results/digits/annotation/round_1" / batch["image"][0]
    assert image.read_bytes() == source["image"][batch["id"][0]]["bytes"]


def test_answers_re_run_what_learns_from_labels_and_nothing_else(project):
    ids = answer(project, "round_1.json", 1, wrong=1)
    expected = {
        "read_answers": 1, "merge_annotations": 1, "train": 2, "filter_pool": 1, "choose_batch": 1, "export_batch": 1,
        "follow_round": 1, "report_annotation": 1,
    }  # fmt: skip
    assert project.planned("annotate") == expected
    done = project.snakemake("annotate")
    assert done.returncode == 0, done.stdout
    examples = pd.read_parquet(project.folder / "results/sentences/examples.parquet").set_index("example_id")
    assert (examples.loc[ids, "split"] == "train").all() and examples.loc[ids, "is_noisy"].sum() == 1
    step = (
        f"8 rows to label: {HOME}/round_2/batch.csv; put the answers into resources/annotations/sentences/round_2.csv"
    )
    assert done.stdout.count(step) == 1
    second = pd.read_csv(project.folder / HOME / "round_2/batch.csv")
    assert len(second) == 8 and not set(second["id"]) & set(ids)
    progress = pd.read_csv(project.folder / HOME / "progress.csv")
    assert set(progress["arm"]) == {"annotated", "annotated_true", "random", "uncertainty"}
    assert progress["n_labelled"].tolist() == [0] * 4 + [8] * 4
    assert project.planned("annotate") == {}
    drop(project, "round_1_anna.csv", f"id,label\n{ids[0]},text\n")
    assert project.planned("annotate") == expected, "the same round, again"
    everything = project.planned()
    assert "embed" not in everything and "build_index" in everything, "the index was not asked for before"


def test_a_bad_file_changes_nothing_and_names_every_fault(project):
    ids = answer(project, "round_1.json", 1)
    assert project.snakemake("annotate").returncode == 0
    before = states(project)
    (train,) = pd.read_parquet(project.folder / HOME / "source.parquet").query("split == 'train'")["example_id"][:1]
    rows = ["nobody,text", f"{train},text", f"{ids[0]},txt", f"{ids[1]},", f"{ids[2]},text", f"{ids[2]},files"]
    drop(project, "round_2.csv", "\n".join(["id,label", *rows]) + "\n")
    done = project.snakemake("annotate", "--retries", "0")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    faults = [line.partition("error: ")[2] for line in done.stdout.splitlines() if "error: resources" in line]
    where = "resources/annotations/sentences/round_2.csv"
    assert list(dict.fromkeys(faults)) == [
        f"{where}:2: id 'nobody' is not in the data set",
        f"{where}:3: id '{train}' is not in the pool but in train, its label is known",
        f"{where}:4: label 'txt' is none of the classes, did you mean 'text'?",
        f"{where}:7: label 'files' of '{ids[2]}' by 'annotator', who said 'text' in line 6: keep one of the two",
    ]
    assert states(project) == before
    os.remove(project.folder / where)
    assert project.planned("annotate") == {}


def test_the_order_of_files_and_a_kill_do_not_matter(project, first_round):
    """Half of a killed merge is never seen: the next run gives the bytes of an undisturbed one."""
    answer(project, "round_1.json", 1)
    target = "results/sentences/examples.parquet"
    killed = project.snakemake(target, "--retries", "0", DATASSAY_CRASH_AT="write:3")
    assert killed.returncode != 0 and not (project.folder / target).exists()
    assert project.snakemake(target).returncode == 0
    killed_bytes = (project.folder / target).read_bytes()
    os.utime(project.folder / "resources/annotations/sentences/round_1.json")
    assert project.snakemake(target).returncode == 0
    assert (project.folder / target).read_bytes() == killed_bytes
