"""Active learning with every kind of backbone of the presets: features, dropout passes and picks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.acquisition import NeighborLists
from datassay.active_learning._learner import Learner
from datassay.active_learning.metrics import probabilities
from datassay.active_learning.tables import picked_table, rounds_table
from datassay.active_learning.world import World, make_world
from datassay.config import ActiveLearning, Finetune
from tests.unit.test_active_learning import LOOP, NAMES, run
from tests.unit.tiny_bert import WIDTH, words, write_tiny

KINDS = ("bert", "deberta-v2", "albert", "gpt2", "t5")  # bert-tiny is a bert
N = 90


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Models this small lose time to threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def texts() -> World:
    """A pool in which the rare class has words of its own."""
    rng = np.random.default_rng(0)
    labels = (np.arange(N) % 5 == 1).astype(int)
    common, rare = words(rng, N, 0, 30), words(rng, N, 20, 40)
    examples = pd.DataFrame(
        {
            "example_id": [f"e{i}" for i in range(N)],
            "split": np.where(np.arange(N) < 70, "train", "test"),
            "label": labels,
            "text": [r if y else c for r, c, y in zip(rare, common, labels, strict=True)],
        }
    )
    vectors = rng.normal(size=(N, 4)).astype(np.float32)
    return make_world(examples, {"label_names": NAMES}, NeighborLists(vectors), ["rare"])


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finetune:
    folder = write_tiny(tmp_path_factory.mktemp(request.param), request.param)
    return Finetune(
        name="tiny", recipe="finetune", backbone=str(folder), epochs=2, batch_size=8, mc_passes=2, max_length=16,
        learning_rate=1e-3, precision="float32",
    )  # fmt: skip


@pytest.mark.parametrize(("base", "subpool"), [("badge", "anchoral"), ("bald", "seals"), ("infoverse", "anchoral")])
def test_every_backbone_is_queried(base: str, subpool: str, model: Finetune, tmp_path: Path) -> None:
    of = texts()
    rounds = run(tmp_path, of=of, base=base, subpool=subpool, model=model, budget=32, min_steps=4)
    picked = picked_table(of, rounds)
    assert picked["row"].nunique() == 32 and (picked["row"] < 70).all()
    assert rounds_table(rounds)["n_labelled"].tolist() == [20, 30, 32]


def test_what_a_learner_says_does_not_depend_on_the_order_of_the_rows(model: Finetune) -> None:
    of = texts()
    loop = ActiveLearning.model_validate(LOOP)
    fit = Learner(of.examples, None, of.labels, of.names, of.minority, model, loop, (0, 0)).fit(np.arange(30))
    rows = np.random.default_rng(1).permutation(N)[:40]
    there, back = fit.predict(rows, features=True), fit.predict(np.sort(rows), features=True)
    assert there.features is not None and back.features is not None and there.features.shape == (40, WIDTH)
    order = np.argsort(rows)
    np.testing.assert_allclose(there.features[order], back.features, atol=1e-5)
    np.testing.assert_allclose(probabilities(there.logits)[order], probabilities(back.logits), atol=1e-5)
    passes = fit.dropout(rows)
    assert passes.shape == (2, 40, 2) and np.abs(passes[0] - passes[1]).max() > 1e-4
