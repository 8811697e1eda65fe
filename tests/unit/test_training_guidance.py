"""What single rows tell a training: weights, doubts, and which rows come first."""

import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay import checkpoints as progress
from datassay.checkpoints import Checkpoints, Interrupted
from datassay.config import Head
from datassay.errors import DatassayError
from datassay.training import Guidance, retrain
from tests.unit.test_training import N_TRAIN, NAMES, some_vectors, text_examples

EXAMPLES = text_examples()
VECTORS = some_vectors(EXAMPLES)
SETTINGS = Head(name="m", recipe="head", epochs=3, hidden=[16], batch_size=16)
TRAIN = np.flatnonzero(EXAMPLES["split"] == "train")
SOME = np.arange(N_TRAIN) % 3 == 0


def relabelled(rows: np.ndarray) -> pd.DataFrame:
    """The examples with another label on some of the train rows."""
    changed = EXAMPLES.copy()
    places = TRAIN[rows]
    changed.loc[places, "label"] = (changed["label"][places] + 1) % 3
    return changed


def scores(examples: pd.DataFrame = EXAMPLES, **how: object) -> list[dict[str, float]]:
    return retrain(examples, VECTORS, NAMES, SETTINGS, [0, 1], **how)


def test_doubts_are_soft_bootstrapping() -> None:
    import torch
    from torch.nn.functional import one_hot

    from datassay.training._objective import make_objective

    objective = make_objective("classification", np.array([0, 2, 1]), NAMES, 0, np.arange(3))
    logits = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    wanted, doubts = torch.tensor([0, 2, 1]), torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    loss = objective.guided_loss(logits, wanted, weights, doubts)
    loss.backward()
    said = logits.detach().softmax(dim=1)
    target = (1 - doubts)[:, None] * one_hot(wanted, 3) + doubts[:, None] * said
    expected = -(weights[:, None] * target * logits.detach().log_softmax(dim=1)).sum()
    torch.testing.assert_close(loss.detach(), expected)
    torch.testing.assert_close(logits.grad, weights[:, None] * (said - target))


def test_rows_of_weight_zero_and_full_doubt_have_no_label() -> None:
    for guidance in (Guidance(weights=1.0 - SOME), Guidance(doubts=SOME.astype(float))):
        assert scores(guidance=guidance) == scores(relabelled(SOME), guidance=guidance)
        assert scores(guidance=guidance) != scores(relabelled(~SOME), guidance=guidance)


def test_equal_weights_are_plain_training() -> None:
    plain, weighted = scores(), scores(guidance=Guidance(weights=np.ones(N_TRAIN)))
    for one, other in zip(plain, weighted, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_steps_take_preferred_rows_only_while_they_suffice() -> None:
    guidance = Guidance(preferred=~SOME, candidates=4)
    assert scores(guidance=guidance) == scores(relabelled(SOME), guidance=guidance)
    assert scores(guidance=guidance) != scores(relabelled(~SOME), guidance=guidance)


def test_a_step_takes_the_rows_of_the_highest_loss() -> None:
    import torch

    from datassay.training._objective import make_objective
    from datassay.training._recipes import prepare
    from datassay.training._trainer import _plan, _preferred, make_accelerator, predict, start

    labels = EXAMPLES["label"].to_numpy()
    objective = make_objective("classification", labels, NAMES, 0, TRAIN)
    guidance = Guidance(preferred=~SOME, candidates=3).placed(TRAIN, len(EXAMPLES))
    build = prepare(EXAMPLES, VECTORS, objective, SETTINGS)
    run = start(build, make_accelerator(SETTINGS), objective, SETTINGS, 0, guidance=guidance)
    plan = _plan(run, TRAIN, 0)
    assert len(plan) == -(-N_TRAIN // 16) and all(len(set(batch)) == len(batch) > 16 for batch in plan[:-1])
    chosen = _preferred(run, objective.targets(torch.device("cpu")), plan[0], guidance)
    run.task.mode(training=False)
    logits = torch.from_numpy(predict(run, plan[0]).logits)
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[plan[0]]), reduction="none").numpy()
    allowed = guidance.preferred[plan[0]]
    best = plan[0][allowed][np.argsort(-losses[allowed], kind="stable")][:16]
    assert chosen.tolist()[: len(best)] == best.tolist() and len(chosen) == 16


def test_guidance_goes_with_the_kept_rows() -> None:
    kept = np.flatnonzero(np.arange(N_TRAIN) % 4 > 0)
    guidance = Guidance(weights=1.0 - SOME[kept])
    out = np.zeros(N_TRAIN, dtype=bool)
    out[kept[SOME[kept]]] = True
    changed = relabelled(out)
    assert scores(kept_rows=kept, guidance=guidance) == scores(changed, kept_rows=kept, guidance=guidance)


def test_scores_after_every_epoch_end_with_those_of_the_last(tmp_path: Path) -> None:
    every, last = scores(every_epoch=True), scores()
    assert [(row["seed"], row["epoch"]) for row in every] == [(s, e) for s in (0, 1) for e in (1, 2, 3)]
    assert [{k: v for k, v in row.items() if k != "epoch"} for row in every if row["epoch"] == 3] == last
    kept = Checkpoints(tmp_path, "key")
    assert scores(every_epoch=True, checkpoints=kept) == every == scores(every_epoch=True, checkpoints=kept)


def test_accuracies_of_groups_are_those_of_the_test_rows() -> None:
    test = (EXAMPLES["split"] == "test").to_numpy()
    groups = np.where(np.arange(len(EXAMPLES)) % 2, "odd", "even").astype(object)
    groups[np.flatnonzero(test)[0]] = None
    (found, _), (plain, _) = scores(EXAMPLES.assign(group=groups), by_group=True), scores()
    assert {name: found[name] for name in plain} == plain
    known = [group for group in groups[test] if group]
    assert found["worst_group_accuracy"] == min(found["odd_accuracy"], found["even_accuracy"])
    right = sum(found[f"{name}_accuracy"] * known.count(name) for name in ("odd", "even"))
    assert right == pytest.approx(round(right)) and abs(right - plain["accuracy"] * test.sum()) < 1 + 1e-9


def test_a_stopped_run_goes_on_with_the_scores_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_stop_signal", [signal.SIGTERM])
    kept = Checkpoints(tmp_path, "key")
    with pytest.raises(Interrupted):
        scores(every_epoch=True, checkpoints=kept)
    assert kept.names() == ["seed0state"]
    monkeypatch.setattr(progress, "_stop_signal", [])
    assert scores(every_epoch=True, checkpoints=kept) == scores(every_epoch=True)


def test_guidance_that_means_nothing_is_refused() -> None:
    for wrong, fault in (
        ({"weights": np.array([-1.0])}, "weights from -1 to -1, allowed: 0 to inf"),
        ({"doubts": np.array([0.5, 1.5])}, "doubts from 0.5 to 1.5, allowed: 0 to 1"),
        ({"candidates": 2}, "more with preferred rows"),
        ({"weights": np.ones(2), "doubts": np.ones(3)}, "differ"),
    ):
        with pytest.raises(DatassayError, match=fault):
            Guidance(**wrong)
    with pytest.raises(DatassayError, match="arrays of 2 rows for 60 train rows"):
        scores(guidance=Guidance(weights=np.ones(2)))
