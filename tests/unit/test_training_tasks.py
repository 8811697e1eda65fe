"""What is learnt: numbers and options beside classes; and what is recorded online."""

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints, Interrupted
from datassay.config import Training
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.training import Recording, retrain, train
from datassay.training.scores import scores
from tests.unit.test_training import (
    ARRAYS,
    N_TRAIN,
    NAMES,
    N,
    cnn,
    finetune,
    head,
    image_examples,
    some_vectors,
    text_examples,
)
from tests.unit.test_training import run as run_classes
from tests.unit.tiny_bert import KINDS, words, write_tiny


def run(examples, vectors, settings: Training, folder: Path, task: str, seed: int = 0) -> Recording:
    return train(examples, vectors, [], settings, seed, Checkpoints(folder, f"{task}{settings.recipe}"), task)


def rated_examples(scale: float = 4.0, shift: float = 100.0) -> pd.DataFrame:
    """Texts with a number far from zero, which grows with the words in it; some are not known."""
    examples = text_examples()
    number = shift + scale * (examples["label"] + np.random.default_rng(3).normal(size=N) / 5)
    rated = examples.assign(label=number.astype(np.float64))
    rated.loc[[1, 5, 7], "label"] = np.nan
    return rated


def choice_examples(blank: bool = True) -> pd.DataFrame:
    """Which of three options goes with the text: the one with the words of the text's class."""
    rng = np.random.default_rng(4)
    examples = text_examples()
    classes = np.stack([rng.permutation(3) for _ in range(N)])
    options = [[words(rng, 1, 12 * c, 12 * c + 14)[0] for c in row] for row in classes]
    label = (classes == examples["label"].to_numpy()[:, None]).argmax(axis=1)
    text = examples["text"] + (" _ w39" if blank else "")
    return examples.assign(text=text, options=options, label=label)


@pytest.mark.parametrize("recipe", ["head", "cnn", "finetune"])
def test_regression_learns_and_answers_on_the_scale_of_the_labels(recipe: str, tmp_path: Path) -> None:
    examples, vectors = rated_examples(), None
    if recipe == "finetune":
        settings = finetune(write_tiny(tmp_path / "tiny", "gpt2"), epochs=8, learning_rate=3e-3)
    elif recipe == "head":
        settings, vectors = head(epochs=8, learning_rate=1e-2, mc_passes=3), some_vectors(text_examples())
    else:
        examples = examples.assign(image=image_examples()["image"])
        settings = cnn(epochs=8, learning_rate=1e-2, mc_passes=3)
    recording = run(examples, vectors, settings, tmp_path, "regression")
    assert recording.logits.shape == (8, N, 1) and recording.mc_logits.shape == (3, N_TRAIN, 1)
    last = recording.metrics[(recording.metrics["split"] == "test") & (recording.metrics["epoch"] == 8)].iloc[0]
    assert last["pearson"] > 0.8 and last["rmse"] < 3
    test = (examples["split"] == "test").to_numpy()
    expected = scores(recording.logits[-1, test], examples["label"].to_numpy()[test], "regression")
    assert expected == {name: last[name] for name in expected}
    assert np.abs(recording.mc_logits.mean(axis=0) - 104).max() < 20  # the labels' own scale


def test_regression_does_not_depend_on_the_unit_of_the_labels(tmp_path: Path) -> None:
    vectors = some_vectors(text_examples())
    small = run(rated_examples(1, 0), vectors, head(), tmp_path / "small", "regression")
    large = run(rated_examples(50, -7), vectors, head(), tmp_path / "large", "regression")
    np.testing.assert_allclose(large.logits, 50 * small.logits - 7, atol=2e-3)
    np.testing.assert_allclose(large.mc_logits, 50 * small.mc_logits - 7, atol=2e-3)
    np.testing.assert_array_equal(large.features, small.features)


def test_one_step_of_regression_is_the_closed_form(tmp_path: Path) -> None:
    import torch

    examples, vectors = rated_examples(), some_vectors(text_examples())
    common = {"hidden": [], "dropout": 0.0, "optimizer": "sgd", "momentum": 0.0, "batch_size": 64, "warmup": 0.0}
    more = {"learning_rate": 0.1, "weight_decay": 0.0, "clip_norm": None, "schedule": "constant"}
    recording = run(examples, vectors, head(epochs=1, **common, **more), tmp_path, "regression")
    with torch.random.fork_rng():
        torch.manual_seed(int(generator(0, "initialisation").integers(2**63)))
        layer = torch.nn.Linear(8, 1)
    weight, bias = layer.weight.detach().numpy()[0].astype(np.float64), float(layer.bias.detach())
    learnt = ((examples["split"] == "train") & examples["label"].notna()).to_numpy()
    x, y = vectors[learnt], examples["label"].to_numpy()[learnt]
    mean, std = y.mean(), y.std()
    error = 2 * (x @ weight + bias - (y - mean) / std) / len(x)
    weight, bias = weight - 0.1 * error @ x, bias - 0.1 * error.sum()
    np.testing.assert_allclose(recording.logits[0, :, 0], (vectors @ weight + bias) * std + mean, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_regression_with_every_backbone_is_read_again(kind: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    examples = rated_examples()
    settings = finetune(write_tiny(tmp_path / "tiny", kind), epochs=1, mc_passes=0)
    recording = run(examples, None, settings, tmp_path, "regression")
    recording.save_model(tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert model.config.problem_type == "regression" and model.config.num_labels == 1
    with torch.no_grad():
        answers = model(**tokenizer(examples["text"].tolist(), padding=True, return_tensors="pt")).logits.numpy()
    learnt = examples["label"][(examples["split"] == "train") & examples["label"].notna()]
    assert (model.config.label_mean, model.config.label_std) == pytest.approx((learnt.mean(), learnt.std(ddof=0)))
    answers = answers * model.config.label_std + model.config.label_mean
    np.testing.assert_allclose(answers, recording.logits[-1], rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_multiple_choice_scores_every_option_alike(kind: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from datassay.training._tokens import option_pairs

    examples = choice_examples()
    settings = finetune(write_tiny(tmp_path / "tiny", kind), epochs=1, mc_passes=2, dropout=0.1)
    recording = run(examples, None, settings, tmp_path, "multiple_choice")
    assert recording.logits.shape == (1, N, 3) and recording.mc_logits.shape == (2, N_TRAIN, 3)
    recording.save_model(tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    first, second = option_pairs(examples)
    if kind == "gpt2":
        second = [f" {text}" for text in second]
    with torch.no_grad():
        alone = [
            model(**tokenizer(*pair, return_tensors="pt")).logits[0, 0] for pair in zip(first, second, strict=True)
        ]
    np.testing.assert_allclose(np.reshape(alone, (N, 3)), recording.logits[-1], atol=1e-4)
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    bias = 0 if linear.bias is None else float(linear.bias)
    under_label = recording.logits[-1][np.arange(N), examples["label"]]
    np.testing.assert_allclose(recording.features @ linear.weight.detach().numpy()[0] + bias, under_label, atol=1e-4)


def test_multiple_choice_learns_with_and_without_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from datassay.training import _frozen

    folder = write_tiny(tmp_path / "tiny", "bert", dropout=0.0)
    examples = choice_examples(blank=False)
    # the backbone's random words say nothing of classes: let the right option be the one that holds a certain word
    examples["options"] = [[("w1 w1" if i == k else "w30 w31") for i in range(3)] for k in examples["label"]]
    settings = finetune(folder, epochs=6, learning_rate=3e-3, freeze_embeddings=True, freeze_layers=1)
    with caplog.at_level("INFO", logger="datassay"):
        recording = run(examples, None, settings, tmp_path / "a", "multiple_choice")
    assert "1 frozen layers ran once" in caplog.text
    last = recording.metrics[recording.metrics["split"] == "test"].iloc[-1]
    assert last["accuracy"] > 0.9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_frozen, "CACHE_BYTES", 0)
        plain = run(examples, None, settings, tmp_path / "b", "multiple_choice")
    cached, again = (r.logits - r.logits.mean(axis=2, keepdims=True) for r in (recording, plain))
    np.testing.assert_allclose(cached, again, atol=1e-3)  # what is added to all options says nothing


def test_options_in_another_order_get_their_own_scores(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "tiny", "bert")
    examples = choice_examples()
    test = np.flatnonzero(examples["split"] == "test")
    turned = examples.copy()
    for row in test:  # outside of train, so that the training is the same
        turned.at[row, "options"] = examples["options"][row][::-1]
        turned.at[row, "label"] = -1
    settings = finetune(folder, epochs=1, mc_passes=0)
    first = run(examples, None, settings, tmp_path / "a", "multiple_choice")
    other = run(turned, None, settings, tmp_path / "b", "multiple_choice")
    np.testing.assert_allclose(other.logits[-1, test], first.logits[-1, test, ::-1], atol=1e-5)
    # without a label the features are those of the predicted option
    right = first.logits[-1, test].argmax(axis=1) == examples["label"][test]
    np.testing.assert_allclose(other.features[test][right], first.features[test][right], atol=1e-5)
    assert right.any() and not np.allclose(other.features[test][~right], first.features[test][~right], atol=1e-3)


def test_texts_and_options_become_pairs() -> None:
    from datassay.training._tokens import option_pairs

    table = pd.DataFrame(
        {
            "text": ["The cup fell off the table as _ was round.", "_'s snake_case _", "What is it?", "Why __ now?"],
            "options": [["the cup", r"a\1"], ["Ann", "Bob"], ["a cat", "a dog"], ["not", "me"]],
        }
    )
    first, second = option_pairs(table)
    assert first == ["The cup fell off the table as"] * 2 + [""] * 2 + ["What is it?"] * 2 + ["Why"] * 2
    assert second[:4] == ["the cup was round.", r"a\1 was round.", "Ann's snake_case _", "Bob's snake_case _"]
    assert second[4:] == ["a cat", "a dog", "not now?", "me now?"]
    first, second = option_pairs(table.iloc[2:3].assign(text_b="It"))
    assert first == ["What is it?"] * 2 and second == ["It a cat", "It a dog"]


def test_faults_of_tasks_are_one_line(tmp_path: Path) -> None:
    rated, choices, vectors = rated_examples(), choice_examples(), some_vectors(text_examples())
    backbone = finetune(write_tiny(tmp_path / "tiny", "bert"))

    def fails(match: str, examples: pd.DataFrame, settings: Training, task: str) -> None:
        with pytest.raises(DatassayError, match=match) as caught:
            run(examples, vectors if settings.recipe == "head" else None, settings, tmp_path, task)
        assert "\n" not in str(caught.value)

    fails("all train labels are 3.0, at least 2 different ones", rated.assign(label=3.0), head(), "regression")
    fails("no labelled rows in the train split", rated.assign(label=np.nan), head(), "regression")
    fails("multiple choice needs a model that reads, set recipe: finetune", choices, head(), "multiple_choice")
    fails("needs a column 'options'", choices.drop(columns="options"), backbone, "multiple_choice")
    uneven = choices.assign(options=[options[: 2 + (i > 3)] for i, options in enumerate(choices["options"])])
    fails("2 to 3 options, every row needs the same number", uneven, backbone, "multiple_choice")
    fails("label 3 found, allowed: 0 to 2", choices.assign(label=3), backbone, "multiple_choice")
    single = choices.assign(options=[options[:1] for options in choices["options"]])
    fails("1 option, a choice needs at least 2", single, backbone, "multiple_choice")


def test_retraining_for_numbers_standardises_by_the_kept_rows(tmp_path: Path) -> None:
    examples, vectors = rated_examples(), some_vectors(text_examples())
    kept = np.arange(0, N_TRAIN, 2)
    train_rows = np.flatnonzero(examples["split"] == "train")
    dropped = examples.drop(index=train_rows[1::2]).reset_index(drop=True)
    fewer = retrain(examples, vectors, [], head(), [4], kept, "regression")[0]
    alone = retrain(dropped, np.delete(vectors, train_rows[1::2], axis=0), [], head(), [4], task="regression")[0]
    assert fewer == alone
    assert {"loss", "rmse", "pearson", "spearman", "validation_pearson"} <= fewer.keys()
    unknown = examples.assign(label=np.where(examples.index == train_rows[0], np.nan, examples["label"]))
    with pytest.raises(DatassayError, match="none of the 1 rows has a label"):
        retrain(unknown, vectors, [], head(), [4], np.array([0]), "regression")


@pytest.mark.parametrize("recipe", ["head", "finetune"])
def test_online_dynamics_are_the_logits_of_the_training_itself(recipe: str, tmp_path: Path) -> None:
    """Without dropout and with one batch per epoch, training sees what the model of the epoch before says."""
    examples = text_examples()
    train_rows = np.flatnonzero(examples["split"] == "train")
    unlabelled = train_rows[:5]
    examples.loc[unlabelled, "label"] = -1
    common = {"dropout": 0.0, "batch_size": 64, "epochs": 4, "mc_passes": 0}
    if recipe == "head":
        settings, vectors = head(**common), some_vectors(text_examples())
    else:
        settings, vectors = finetune(write_tiny(tmp_path / "tiny", "bert"), **common), None
    after = run_classes(examples, vectors, settings, tmp_path)
    online = run_classes(examples, vectors, settings.model_copy(update={"dynamics": "online"}), tmp_path)
    learnt = train_rows[5:]
    others = np.setdiff1d(np.arange(N), learnt)
    for name in ("logits", "feature_norms"):
        during, behind = getattr(online, name), getattr(after, name)
        np.testing.assert_allclose(during[1:-1, learnt], behind[:-2, learnt], atol=1e-5)
        assert not np.allclose(during[:-1, learnt], behind[:-1, learnt], atol=1e-3)
        np.testing.assert_allclose(during[:, others], behind[:, others], atol=1e-5)
        np.testing.assert_array_equal(during[-1], behind[-1])
    np.testing.assert_array_equal(online.features, after.features)


def test_online_dynamics_hold_the_dropout_and_go_on_after_a_stop(tmp_path: Path) -> None:
    examples, vectors = text_examples(), some_vectors(text_examples())
    settings = head(dynamics="online", dropout=0.5, batch_size=7, accumulation=2)
    whole = run_classes(examples, vectors, settings, tmp_path)
    after = run_classes(examples, vectors, settings.model_copy(update={"dynamics": "eval"}), tmp_path)
    assert not np.allclose(whole.logits[0], after.logits[0], atol=0.1)
    again = _after_a_stop(examples, vectors, settings, tmp_path)
    assert all(getattr(again, name).tobytes() == getattr(whole, name).tobytes() for name in ARRAYS)
    pd.testing.assert_frame_equal(again.metrics, whole.metrics)


def _after_a_stop(examples, vectors, settings: Training, folder: Path) -> Recording:
    """Train until a signal stops it after the first epoch, then again."""
    checkpoints = Checkpoints(folder, "stopped")
    with stopped_by_signal(), pytest.raises(Interrupted):
        train(examples, vectors, NAMES, settings, 0, checkpoints)
    assert "state00000" in checkpoints.names() and "state00001" not in checkpoints.names()
    return train(examples, vectors, NAMES, settings, 0, checkpoints)


class stopped_by_signal:
    """A signal has asked for a stop while the block runs."""

    def __enter__(self) -> None:
        from datassay import checkpoints

        before = signal.signal(signal.SIGUSR1, checkpoints.request_stop)
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)

    def __exit__(self, *_: object) -> None:
        from datassay import checkpoints

        checkpoints._stop_signal.clear()


def test_retraining_goes_on_at_the_next_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datassay.training import _evaluate

    examples, vectors, kept = text_examples(), some_vectors(text_examples()), np.arange(30)
    whole = retrain(examples, vectors, NAMES, head(), [4, 5, 6], kept)
    checkpoints = Checkpoints(tmp_path, "cell")
    save = checkpoints.save

    def killed(name: str, arrays: dict[str, np.ndarray]) -> None:
        if name == "seed6":
            raise KeyboardInterrupt
        save(name, arrays)

    monkeypatch.setattr(checkpoints, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        retrain(examples, vectors, NAMES, head(), [4, 5, 6], kept, checkpoints=checkpoints)
    monkeypatch.undo()
    assert checkpoints.names() == ["seed4", "seed5"]
    trained: list[int] = []
    start = _evaluate.start

    def heard(*given, **options):
        trained.append(given[-1])
        return start(*given, **options)

    monkeypatch.setattr(_evaluate, "start", heard)
    again = retrain(examples, vectors, NAMES, head(), [4, 5, 6], kept, checkpoints=checkpoints)
    assert trained == [6]
    assert again == whole and [list(a) for a in again] == [list(w) for w in whole]


def test_retraining_that_is_asked_to_stop_goes_on_at_the_next_epoch(tmp_path: Path, caplog) -> None:
    examples, vectors = text_examples(), some_vectors(text_examples())
    whole = retrain(examples, vectors, NAMES, head(), [4, 5])
    checkpoints = Checkpoints(tmp_path, "cell")
    with stopped_by_signal(), pytest.raises(Interrupted, match="after a saved epoch"):
        retrain(examples, vectors, NAMES, head(), [4, 5], checkpoints=checkpoints)
    assert checkpoints.names() == ["seed4state"]
    with caplog.at_level("INFO", logger="datassay"):
        again = retrain(examples, vectors, NAMES, head(), [4, 5], checkpoints=checkpoints)
    assert "seed 4: going on after epoch 1/3" in caplog.text
    assert again == whole and checkpoints.names() == ["seed4", "seed5"]


def test_arrays_of_epochs_and_seeds_are_loaded_for_the_train_rows(tmp_path: Path) -> None:
    from datassay.stages import load_inputs
    from datassay.storage import save_array, save_table

    rng = np.random.default_rng(0)
    examples = text_examples().assign(example_id=[f"e{i}" for i in range(N)])
    save_table(tmp_path / "examples.parquet", examples)
    logits, norms = rng.normal(size=(2, 3, N, 4)), rng.uniform(size=(2, 3, N))
    for seed in range(2):
        save_array(tmp_path / f"logits{seed}.npy", logits[seed])
        save_array(tmp_path / f"norms{seed}.npy", norms[seed])
    seeds = {name: [tmp_path / f"{name}{seed}.npy" for seed in range(2)] for name in ("logits", "norms")}
    _, arrays = load_inputs(
        {
            "examples": tmp_path / "examples.parquet",
            "ensemble_epoch_logits": seeds["logits"],
            "feature_norms": seeds["norms"][0],
            "ensemble_feature_norms": seeds["norms"],
        }
    )
    rows = np.flatnonzero(examples["split"] == "train")
    np.testing.assert_array_equal(arrays["ensemble_epoch_logits"], logits[:, :, rows])
    np.testing.assert_array_equal(arrays["feature_norms"], norms[0][:, rows])
    np.testing.assert_array_equal(arrays["ensemble_feature_norms"], norms[:, :, rows])
