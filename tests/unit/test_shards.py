"""Any number of jobs, the same bytes."""

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import Encoder, LanguageModel
from datassay.data.images import encode_png
from datassay.encoders import embed
from datassay.measures import likelihood
from datassay.neighbors import neighbors_within
from datassay.shards import Part, gather_rows, gathered_members
from datassay.storage import save_arrays
from tests.unit.tiny_bert import words, write_tiny_bert

JOBS = [2, 3, 5, 40]


@pytest.mark.parametrize(("units", "jobs"), [(10, 1), (10, 3), (3, 10), (0, 2), (7, 7)])
def test_portions_cover_every_unit_once_and_are_even(units, jobs):
    portions = [list(range(units))[Part(number, jobs).slice(units)] for number in range(jobs)]
    assert [unit for portion in portions for unit in portion] == list(range(units))
    assert max(map(len, portions)) - min(map(len, portions)) <= 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from transformers import AutoConfig, BertForMaskedLM

    folder = write_tiny_bert(tmp_path_factory.mktemp("bert"))
    BertForMaskedLM(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    return folder


def sources(kind, tiny):
    rng = np.random.default_rng(0)
    if kind == "pixels":
        images = [{"bytes": encode_png(image)} for image in rng.integers(0, 255, (90, 8, 8), dtype=np.uint8)]
        examples = pd.DataFrame({"image": images, "split": ["train"] * 60 + ["test"] * 30})
        return examples, Encoder(name="e", kind="pixels", image_size=8, components=4, shard_rows=16)
    examples = pd.DataFrame({"text": words(rng, 90)})
    return examples, Encoder(name="e", kind="sentence_transformer", model=str(tiny), shard_rows=16, batch_size=4)


@pytest.mark.parametrize(("kind", "jobs"), [("pixels", 2), ("pixels", 40), ("sentence_transformer", 3)])
def test_vectors_of_several_jobs_are_those_of_one(kind, jobs, tiny, tmp_path):
    examples, settings = sources(kind, tiny)
    assert embed(examples, settings, Checkpoints(tmp_path, "all"), tmp_path / "all.npy")[0] == 90
    files = [tmp_path / f"{number}.npy" for number in range(jobs)]
    for number, file in enumerate(files):
        embed(examples, settings, Checkpoints(tmp_path, f"job{number}"), file, Part(number, jobs))
    gather_rows(files, tmp_path / "joined.npy")
    assert (tmp_path / "joined.npy").read_bytes() == (tmp_path / "all.npy").read_bytes()


@pytest.mark.parametrize("jobs", JOBS)
def test_neighbours_of_several_jobs_are_those_of_one(jobs, tmp_path):
    points = np.random.default_rng(1).normal(size=(33, 5)).astype(np.float32)
    points[7] = points[3]
    files = [tmp_path / f"{number}.npz" for number in range(jobs)]
    for number, file in enumerate(files):
        ids, distances = neighbors_within(points, 4, Part(number, jobs))
        save_arrays(file, ids=ids, distances=distances)
    joined = gathered_members(files, "ids", "distances")
    ids, distances = neighbors_within(points, 4)
    assert np.array_equal(joined["ids"], ids) and np.array_equal(joined["distances"], distances)
    brute = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(brute, np.inf)
    assert np.array_equal(np.sort(brute, axis=1)[:, :4].astype(np.float32).round(5), distances.round(5))


@pytest.mark.parametrize("jobs", [3, 40])
def test_likelihoods_of_several_jobs_are_those_of_one(jobs, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(likelihood, "UNIT_TOKENS", 40)
    examples = pd.DataFrame({"text": words(np.random.default_rng(2), 30)})
    settings = LanguageModel(model=str(tiny), mode="unmasked", tokens_per_batch=64)

    def scored(key, part):
        return likelihood.pseudo_log_likelihood(examples, settings, Checkpoints(tmp_path, key), part)

    whole = scored("all", Part())
    parts = [scored(f"job{number}", Part(number, jobs)) for number in range(jobs)]
    assert np.array_equal(sum(parts), whole)
    assert (np.count_nonzero(parts, axis=0) == 1).all(), "every text is scored by one job"
    assert sum(part.any() for part in parts) > 1, "more than one job had something to do"
