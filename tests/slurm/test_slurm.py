"""The workflow on a real SLURM cluster: who runs where, and that no way of losing a job changes a result."""

import re

import pytest

from tests.workflow.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2000)]
LOCAL = {
    "write_config",
    "summarise_pruning",
    "summarise_cleaning",
    "plot_removals",
    "compare_detectors",
    "plot_detectors",
    "summarise",
}
REPORTS = {"build_explorer", "join_assay", "list_suspicious", "plot_report", "score_detection"}
COMMENT = re.compile("|".join(REPORTS))


def jobs(run):
    """Return (rule or group, state, partition, resources) of every job that was submitted."""
    columns = ("JobID", "Comment", "State", "Partition", "AllocTRES", "NodeList")
    return [dict(zip(columns, values, strict=True)) for values in run.cluster.jobs(*columns)]


def test_it_ends_well_through_every_fault(disturbed):
    assert disturbed.process.returncode == 0, disturbed.text()
    assert disturbed.done.keys() == {"signal", "node failure", "scancel"}


def test_the_results_are_those_of_a_local_run(disturbed, undisturbed):
    ours, expected = disturbed.project.files(), undisturbed.files()
    assert ours.keys() == expected.keys()
    assert [name for name, content in expected.items() if ours[name] != content] == []
    assert len(expected) > 20


def test_training_goes_to_the_gpu_partition_and_the_rest_elsewhere(disturbed):
    for job in jobs(disturbed):
        gpu = job["Comment"].startswith("rule_train_wildcards")
        assert (job["Partition"] == "gpu") == gpu, job
        assert ("gres/gpu=1" in job["AllocTRES"]) == gpu, job


def test_local_rules_are_not_submitted(disturbed):
    submitted = " ".join(job["Comment"] for job in jobs(disturbed))
    assert not [rule for rule in LOCAL if rule in submitted]


def test_short_jobs_are_submitted_in_groups(disturbed):
    groups = [job["Comment"] for job in jobs(disturbed) if job["State"] == "COMPLETED"]
    assert [set(COMMENT.findall(group)) for group in groups if group.startswith("rule_reports_")] == [REPORTS]
    assert {"measure", "join_infoverse", "rank_examples"} in [
        set(re.findall("measure(?=_)|join_infoverse|rank_examples", group.removeprefix("rule_measures_")))
        for group in groups
    ]


def test_a_training_that_meets_its_time_limit_saves_and_goes_on(disturbed):
    log = (disturbed.project.folder / "results/logs/train/digits/cnn/seed0.log").read_text()
    assert "going on after epoch" in log, "the second attempt started where the first one was stopped"
    said = "".join(
        file.read_text() for file in disturbed.project.folder.rglob(".snakemake/slurm_logs/rule_train/**/*.log")
    )
    assert "stopped by SIGUSR1 after a saved epoch" in said
    states = [job["State"] for job in jobs(disturbed) if job["Comment"].startswith("rule_train_wildcards")]
    assert states[-1] == "COMPLETED" and len(states) >= 2


def test_what_needs_more_memory_gets_it(disturbed):
    retrained = [job for job in jobs(disturbed) if job["Comment"].startswith("rule_retrain_wildcards")]
    killed = [job for job in retrained if job["State"] in ("FAILED", "OUT_OF_MEMORY")]
    assert killed and all("mem=400M" in job["AllocTRES"] for job in killed)
    done = [job for job in retrained if job["State"] == "COMPLETED"]
    assert len(done) == 3 and all("mem=4000M" in job["AllocTRES"] for job in done)


def test_a_cancelled_job_is_submitted_again(disturbed):
    states = {job["JobID"]: job["State"] for job in jobs(disturbed)}
    assert states[disturbed.done["scancel"]].startswith("CANCELLED")


def test_a_job_of_a_failed_node_runs_elsewhere(disturbed):
    indexed = [job for job in jobs(disturbed) if job["Comment"].startswith("rule_build_index_wildcards")]
    failed = [job for job in indexed if job["State"] == "NODE_FAIL"]
    done = [job for job in indexed if job["State"] == "COMPLETED"]
    assert [job["JobID"] for job in failed] == [disturbed.done["node failure"]] and len(done) == 1
    assert done[0]["NodeList"] != failed[0]["NodeList"]


def test_pre_empted_and_forgotten_trainings_end_well(requeued):
    assert requeued.first.done.keys() == {"pre-emption", "forgotten"}
    assert requeued.last.process.returncode == 0, requeued.last.text()


def test_a_pre_empted_training_goes_on_in_the_same_job(requeued):
    job, folder = requeued.first.done["pre-emption"], requeued.first.project.folder
    assert "going on after epoch" in (folder / "results/logs/train/digits/alone/seed0.log").read_text()
    states = requeued.first.cluster.run("sacct", "-D", "-X", "-n", "-P", "-o", "State", "-j", job).stdout.split()
    assert states == ["PREEMPTED", "COMPLETED"]


def test_a_forgotten_job_is_waited_for_until_the_user_starts_again(requeued):
    assert requeued.waits and requeued.first.process.returncode != 0
    log = (requeued.first.project.folder / "results/logs/train/digits/cpus/seed0.log").read_text()
    assert "going on after epoch" in log


def test_a_training_on_two_machines_is_that_of_as_many_processes_on_one(requeued, tmp_path):
    used = {job["Comment"]: job for job in jobs(requeued.last) if job["State"] == "COMPLETED"}
    for model, gpus in (("gpus", True), ("cpus", False)):
        job = used[f"rule_train_wildcards_digits_{model}_0"]
        assert "node=2" in job["AllocTRES"] and ("gres/gpu=4" in job["AllocTRES"]) == gpus, job
    project = Project(tmp_path)
    project.configure("slurm_training", **{"gpu: 4, nodes: 2": "gpu: 4", "nodes: 2": "gpu: 2"})
    done = project.snakemake("training")
    assert done.returncode == 0, done.stdout
    expected = {name: content for name, content in project.files().items() if "/training/" in name}
    ours = requeued.last.project.files()
    assert len(expected) == 3 * 7
    assert [name for name, content in expected.items() if ours[name] != content] == []
