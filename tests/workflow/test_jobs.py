"""Work that several jobs share, run by snakemake."""

import shutil

import pytest

from tests.workflow.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_results_do_not_depend_on_how_many_jobs_share_the_work(finished, tmp_path):
    shutil.copy(finished.folder / "sentences.csv", tmp_path)
    project = Project(tmp_path)
    project.configure(
        "small", **{"index: {recall_at: 5}}": "jobs: 3, index: {recall_at: 5}}", "{k: 15}": "{k: 15, jobs: 2}"}
    )
    targets = [
        f"results/{place}/neighbors.npz" for place in ("sentences/embeddings/minilm", "digits/embeddings/pixels")
    ]
    assert project.planned(*targets)["embed_shard"] == 6
    done = project.snakemake(*targets)
    assert done.returncode == 0, done.stdout
    made, expected = project.files(), finished.files()
    for name in [*targets, *(target.replace("neighbors.npz", "vectors.npy") for target in targets)]:
        assert made[name] == expected[name], name
    assert not [name for name in made if "shards" in name or "neighbors/" in name], (
        "parts are removed when they are joined"
    )
