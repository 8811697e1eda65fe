"""The training loop: what it records, what it depends on, and that it goes on after a kill with the same bytes."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import Cnn, Finetune, Head
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.training import Recording, retrain, train
from datassay.training.batches import Ragged, batches, by_length
from datassay.training.scores import scores
from tests.unit.tiny_bert import words, write_tiny_bert

NAMES = ["red", "green", "blue"]
N, N_TRAIN = 90, 60
ARRAYS = ("logits", "features", "feature_norms", "mc_logits")


def text_examples() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, N)
    texts = [words(rng, 1, 12 * label, 12 * label + 14)[0] for label in labels]
    splits = np.repeat(["train", "validation", "test"], [N_TRAIN, 15, 15])
    table = pd.DataFrame({"text": texts, "label": labels, "split": splits})
    return table.iloc[rng.permutation(N)].reset_index(drop=True)


def some_vectors(examples: pd.DataFrame, width: int = 8) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=(len(examples), width))
    return (noise + 3 * np.eye(width)[examples["label"]]).astype(np.float32)


def image_examples() -> pd.DataFrame:
    from PIL import Image

    rng, examples = np.random.default_rng(2), text_examples()

    def png(label: int) -> dict[str, object]:
        pixels, file = rng.integers(0, 120, (8, 8, 3)), io.BytesIO()
        pixels[:, :, label] += 100
        Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    return examples.assign(image=[png(label) for label in examples["label"]])


def head(**settings: object) -> Head:
    return Head(**{"name": "m", "recipe": "head", "epochs": 3, "hidden": [16], "batch_size": 16, **settings})


def cnn(**settings: object) -> Cnn:
    return Cnn(**{"name": "m", "recipe": "cnn", "epochs": 3, "image_size": 8, "channels": [8, 16], **settings})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("tiny"))


def finetune(tiny: Path, **settings: object) -> Finetune:
    defaults = {"name": "m", "recipe": "finetune", "backbone": str(tiny), "epochs": 3, "batch_size": 16}
    return Finetune(**{**defaults, "mc_passes": 3, **settings})


def run(examples, vectors, settings, folder: Path, seed: int = 0) -> Recording:
    checkpoints = Checkpoints(folder, f"{settings.recipe}{seed}")
    recording = train(examples, vectors, NAMES, settings, seed, checkpoints)
    checkpoints.clear()
    return recording


def same(a: Recording, b: Recording) -> bool:
    return all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in ARRAYS)


@pytest.mark.parametrize("recipe", ["head", "finetune", "cnn"])
def test_recording_is_complete_and_learns(recipe: str, tiny: Path, tmp_path: Path) -> None:
    settings = {"head": head, "cnn": cnn, "finetune": lambda **s: finetune(tiny, **s)}[recipe]
    settings = settings(epochs=16, batch_size=8, learning_rate=5e-3, mc_passes=3)
    examples = image_examples() if recipe == "cnn" else text_examples()
    vectors = some_vectors(examples) if recipe == "head" else None
    recording = run(examples, vectors, settings, tmp_path)
    assert recording.logits.shape == (16, N, 3) and recording.logits.dtype == np.float32
    assert recording.features.shape == (N, {"head": 16, "finetune": 32, "cnn": 16}[recipe])
    assert recording.feature_norms.shape == (16, N) and recording.feature_norms.dtype == np.float32
    np.testing.assert_allclose(recording.feature_norms[-1], np.linalg.norm(recording.features, axis=1), rtol=1e-5)
    assert not np.allclose(recording.feature_norms[0], recording.feature_norms[-1])
    assert recording.mc_logits.shape == (3, N_TRAIN, 3)
    assert not np.array_equal(recording.mc_logits[0], recording.mc_logits[1])
    metrics = recording.metrics
    assert list(metrics["epoch"].unique()) == list(range(1, 17))
    last = metrics[(metrics["split"] == "test") & (metrics["epoch"] == 16)].iloc[0]
    assert last["accuracy"] > 0.8
    test = (examples["split"] == "test").to_numpy()
    expected = scores(recording.logits[-1, test], examples["label"].to_numpy()[test])
    assert expected == {name: last[name] for name in expected}
    assert metrics["learning_rate"].iloc[0] > metrics["learning_rate"].iloc[-1] > 0


@pytest.mark.parametrize("recipe", ["head", "finetune", "cnn"])
def test_saved_model_gives_the_recorded_logits_and_features(recipe: str, tiny: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from datassay.training.models import CnnClassifier, HeadClassifier

    examples = image_examples() if recipe == "cnn" else text_examples()
    vectors = some_vectors(examples)
    frozen = {"freeze_embeddings": True, "freeze_layers": 1}
    settings = {"head": head(), "cnn": cnn(), "finetune": finetune(tiny, **frozen)}[recipe]
    recording = run(examples, vectors if recipe == "head" else None, settings, tmp_path)
    recording.save_model(tmp_path / "model")
    if recipe == "finetune":
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
        assert model.config.id2label == dict(enumerate(NAMES))
        inputs = dict(tokenizer(examples["text"].tolist(), padding=True, return_tensors="pt"))
    elif recipe == "head":
        model, inputs = HeadClassifier.from_pretrained(tmp_path / "model"), {"vectors": torch.from_numpy(vectors)}
    else:
        from datassay.data.images import decode_images

        model = CnnClassifier.from_pretrained(tmp_path / "model")
        inputs = {"images": torch.from_numpy(decode_images(examples["image"], 8))}
    with torch.no_grad():
        logits = model.eval()(**inputs).logits.numpy()
    np.testing.assert_allclose(logits, recording.logits[-1], atol=1e-4)
    classifier = model.classifier if recipe == "finetune" else model.network.classifier
    weight, bias = (p.detach().numpy() for p in (classifier.weight, classifier.bias))
    np.testing.assert_allclose(recording.features @ weight.T + bias, recording.logits[-1], atol=1e-4)


def test_same_seed_same_bytes_other_seed_other_run(tiny: Path, tmp_path: Path) -> None:
    examples = text_examples()
    vectors = some_vectors(examples)
    for settings, given in ((head(), vectors), (finetune(tiny), None)):
        first, again, other = (run(examples, given, settings, tmp_path, seed) for seed in (0, 0, 1))
        assert same(first, again)
        assert not np.array_equal(first.logits[0], other.logits[0])


def test_torch_random_state_is_left_alone_and_not_used(tmp_path: Path) -> None:
    import torch

    examples = text_examples()
    vectors = some_vectors(examples)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = run(examples, vectors, head(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(first, run(examples, vectors, head(), tmp_path))


def test_cached_lower_layers_change_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from datassay.training import _frozen

    examples, settings = text_examples(), finetune(tiny, freeze_embeddings=True, freeze_layers=1, epochs=4)
    with caplog.at_level("INFO", logger="datassay"):
        cached = run(examples, None, settings, tmp_path)
    assert "1 frozen layers ran once" in caplog.text
    monkeypatch.setattr(_frozen, "CACHE_BYTES", 0)
    plain = run(examples, None, settings, tmp_path)
    np.testing.assert_allclose(cached.logits, plain.logits, atol=1e-5)
    np.testing.assert_allclose(cached.mc_logits, plain.mc_logits, atol=1e-5)
    np.testing.assert_allclose(cached.features, plain.features, atol=1e-5)


def test_frozen_weights_stay_and_the_others_move(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    settings = finetune(tiny, freeze_embeddings=True, freeze_layers=1)
    run(text_examples(), None, settings, tmp_path).save_model(tmp_path / "model")
    before = AutoModel.from_pretrained(tiny).state_dict()
    after = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").base_model.state_dict()
    moved = {name for name, value in before.items() if not np.array_equal(value, after[name])}
    assert moved and all(name.startswith(("encoder.layer.1.", "pooler.")) for name in moved)
    assert {name for name in before if name.startswith("encoder.layer.1.") and name.endswith("weight")} <= moved


def test_dropout_passes_keep_batch_statistics_and_need_dropout(tmp_path: Path) -> None:
    examples = image_examples()
    recording = run(examples, None, cnn(dropout=0.0), tmp_path)
    assert recording.mc_logits.shape == (0, N_TRAIN, 3)
    recording = run(examples, None, cnn(dropout=0.3, mc_passes=200), tmp_path)
    train_rows = (examples["split"] == "train").to_numpy()
    # dropout before a linear layer leaves the mean of its output as it is, if nothing else is in training mode
    spread = recording.mc_logits.std(axis=0).max() / np.sqrt(200)
    np.testing.assert_allclose(recording.mc_logits.mean(axis=0), recording.logits[-1, train_rows], atol=5 * spread)


def test_accumulation_is_the_same_step_in_pieces(tmp_path: Path) -> None:
    examples = text_examples()
    vectors = some_vectors(examples)
    common = {"dropout": 0.0, "mc_passes": 0}
    whole = run(examples, vectors, head(batch_size=22, **common), tmp_path)
    pieces = run(examples, vectors, head(batch_size=11, accumulation=2, **common), tmp_path)
    np.testing.assert_allclose(pieces.logits, whole.logits, atol=1e-5)


def test_one_sgd_step_is_the_closed_form(tmp_path: Path) -> None:
    import torch

    examples = text_examples()
    vectors, train_rows = some_vectors(examples), (examples["split"] == "train").to_numpy()
    common = {"hidden": [], "dropout": 0.0, "optimizer": "sgd", "momentum": 0.0, "batch_size": 64, "warmup": 0.0}
    settings = head(epochs=1, learning_rate=0.5, weight_decay=0.1, clip_norm=None, schedule="constant", **common)
    recording = run(examples, vectors, settings, tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(int(generator(0, "initialisation").integers(2**63)))
        layer = torch.nn.Linear(8, 3)
    weight, bias = (p.detach().numpy().astype(np.float64) for p in (layer.weight, layer.bias))
    x, y = vectors[train_rows].astype(np.float64), np.eye(3)[examples["label"][train_rows]]
    z = x @ weight.T + bias
    error = (np.exp(z) / np.exp(z).sum(1, keepdims=True) - y) / len(x)
    weight, bias = weight - 0.5 * (error.T @ x + 0.1 * weight), bias - 0.5 * error.sum(0)
    np.testing.assert_allclose(recording.logits[0], vectors @ weight.T + bias, atol=1e-5)


def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    examples = text_examples()
    vectors = some_vectors(examples)
    common = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "dropout": 0.0, "learning_rate": 1.0}
    free, clipped, still = (
        run(examples, vectors, head(epochs=1, clip_norm=norm, **common), tmp_path).logits for norm in (None, 1e-3, 1e-9)
    )
    assert np.abs(clipped - still).max() < 0.05 < np.abs(free - still).max()


def test_unlabelled_rows_are_recorded_but_not_learnt(tmp_path: Path) -> None:
    examples = text_examples()
    vectors, train_rows = some_vectors(examples), np.flatnonzero(examples["split"] == "train")
    partly = examples.assign(label=examples["label"].astype("Int64"))
    partly.loc[train_rows[:20], "label"] = pd.NA
    vectors_moved = vectors.copy()
    vectors_moved[train_rows[:20]] += 5
    first, moved = run(partly, vectors, head(), tmp_path), run(partly, vectors_moved, head(), tmp_path)
    others = np.setdiff1d(np.arange(N), train_rows[:20])
    assert first.logits.shape == (3, N, 3) and first.mc_logits.shape == (10, N_TRAIN, 3)
    np.testing.assert_allclose(first.logits[:, others], moved.logits[:, others], atol=1e-5)
    assert not np.allclose(first.logits[:, train_rows[:20]], moved.logits[:, train_rows[:20]])


@pytest.mark.parametrize("recipe", ["head", "finetune", "cnn"])
def test_retraining_reads_the_kept_rows_alone(recipe: str, tiny: Path) -> None:
    settings = {"head": head, "cnn": cnn, "finetune": lambda **s: finetune(tiny, **s)}[recipe]()
    examples = image_examples() if recipe == "cnn" else text_examples()
    vectors = some_vectors(examples) if recipe == "head" else None
    train_rows = np.flatnonzero(examples["split"] == "train")
    kept = np.arange(0, N_TRAIN, 2)
    left = examples.index.isin(train_rows[kept]) | (examples["split"] != "train").to_numpy()
    whole = retrain(examples, vectors, NAMES, settings, [0, 1], kept)
    part = retrain(
        examples[left].reset_index(drop=True), None if vectors is None else vectors[left], NAMES, settings, [0, 1]
    )
    assert whole == part


def test_retraining_is_training_on_the_kept_rows(tmp_path: Path) -> None:
    examples = text_examples()
    vectors = some_vectors(examples)
    recording = run(examples, vectors, head(), tmp_path, seed=4)
    full = retrain(examples, vectors, NAMES, head(), [4, 5])
    for split, prefix in (("test", ""), ("validation", "validation_")):
        row = recording.metrics[(recording.metrics["split"] == split) & (recording.metrics["epoch"] == 3)].iloc[0]
        assert full[0][f"{prefix}accuracy"] == row["accuracy"] and full[0][f"{prefix}macro_f1"] == row["macro_f1"]
    assert [r["seed"] for r in full] == [4, 5] and full[0]["n_kept"] == N_TRAIN
    kept = np.arange(0, N_TRAIN, 2)
    train_rows = np.flatnonzero(examples["split"] == "train")
    dropped = examples.drop(index=train_rows[1::2]).reset_index(drop=True)
    fewer = retrain(examples, vectors, NAMES, head(), [4], kept)[0]
    alone = retrain(dropped, np.delete(vectors, train_rows[1::2], axis=0), NAMES, head(), [4])[0]
    assert fewer == alone and fewer["n_kept"] == 30
    assert fewer == retrain(examples, vectors, NAMES, head(), [4], kept[::-1])[0]


def _work(recipe: str, tiny: Path, folder: Path, crash_at: str) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ["DATASSAY_CRASH_AT"] = crash_at
    examples = image_examples() if recipe == "cnn" else text_examples()
    frozen = {"freeze_embeddings": True, "freeze_layers": 1}
    settings = {"head": head(mc_passes=3), "cnn": cnn(mc_passes=3), "finetune": finetune(tiny, **frozen)}[recipe]
    vectors = some_vectors(examples) if recipe == "head" else None
    recording = train(examples, vectors, NAMES, settings, 0, Checkpoints(folder, "key"))
    arrays = {name: getattr(recording, name) for name in ARRAYS}
    np.savez(folder / "out.npz", **arrays)
    recording.metrics.to_json(folder / "metrics.json")


@pytest.fixture(scope="module")
def job(root: Path):
    """Return a function that runs _work in a process of its own (forked from one with torch) and gives its exit code."""
    import multiprocessing

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datassay.training._record", "datassay.training._finetune"])

    def run_job(recipe: str, tiny: Path, folder: Path, crash_at: str = "") -> int:
        folder.mkdir(exist_ok=True)
        process = context.Process(target=_work, args=(recipe, tiny, folder, crash_at))
        process.start()
        process.join(120)
        return process.exitcode

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(root / "workflow_scripts"), str(root)]))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield run_job


@pytest.mark.parametrize("recipe", ["head", "finetune", "cnn"])
def test_killed_training_goes_on_and_ends_with_the_same_bytes(job, recipe: str, tiny: Path, tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert job(recipe, tiny, whole) == 0
    assert job(recipe, tiny, killed, "epoch:2") == -9
    records = killed / ".checkpoints" / "key"
    assert sorted(file.name for file in records.iterdir()) == ["logits00000", "logits00001", "state00000", "state00001"]
    newest = records / "state00001"
    newest.write_bytes(newest.read_bytes()[:-1])  # damaged: it falls back to the epoch before
    first_epoch = (records / "logits00000").stat().st_mtime_ns
    assert job(recipe, tiny, killed, "dropout_pass:2") == -9
    assert (records / "logits00000").stat().st_mtime_ns == first_epoch
    assert sorted(file.name for file in records.glob("state*")) == ["state00001", "state00002"]
    assert job(recipe, tiny, killed) == 0
    assert (killed / "out.npz").read_bytes() == (whole / "out.npz").read_bytes()
    assert json.loads((killed / "metrics.json").read_text()) == json.loads((whole / "metrics.json").read_text())


def test_faults_are_one_line(tmp_path: Path, tiny: Path) -> None:
    examples = text_examples()
    vectors = some_vectors(examples)

    def fails(match: str, table: pd.DataFrame, given: np.ndarray | None, settings, names=NAMES) -> None:
        with pytest.raises(DatassayError, match=match) as caught:
            train(table, given, names, settings, 0, Checkpoints(tmp_path, "faults"))
        assert "\n" not in str(caught.value)

    fails("1 class", examples, vectors, head(), ["only"])
    fails("no labelled rows in the train split", examples.assign(split="test"), vectors, head())
    fails("all train labels are 'green', at least 2", examples.assign(label=1), vectors, head())
    fails("label 2 found, allowed: 0 to 1", examples, vectors, head(), ["a", "b"])
    fails("needs the vectors", examples, None, head())
    fails("5 vectors for 90 examples", examples, vectors[:5], head())
    fails("needs a column 'image'", examples, None, cnn())
    fails("needs a column 'text'", examples.drop(columns="text"), None, finetune(tiny))
    fails("freeze_layers is 3, the backbone has 2", examples, None, finetune(tiny, freeze_layers=3))
    broken = vectors.copy()
    broken[np.flatnonzero(examples["split"] == "train")[0]] = np.nan
    fails("loss is nan in epoch 1, step [1-4]: lower learning_rate", examples, broken, head())
    with pytest.raises(DatassayError, match="positions among the 60 train rows"):
        retrain(examples, vectors, NAMES, head(), [0], np.array([60]))


def test_out_of_memory_halves_the_batch_and_keeps_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    from datassay.training._networks import HeadNetwork

    examples = text_examples()
    vectors = some_vectors(examples)
    common = {"dropout": 0.0, "mc_passes": 0, "eval_batch_size": 64}
    roomy = run(examples, vectors, head(**common), tmp_path)
    forward = HeadNetwork.forward

    def small(self, vectors):
        if len(vectors) > 5:
            raise torch.cuda.OutOfMemoryError("too large")
        return forward(self, vectors)

    monkeypatch.setattr(HeadNetwork, "forward", small)
    with caplog.at_level("WARNING", logger="datassay"):
        tight = run(examples, vectors, head(**common), tmp_path)
    assert "going on with 4 examples at a time" in caplog.text
    np.testing.assert_allclose(tight.logits, roomy.logits, atol=1e-5)


def test_learning_rate_rises_and_falls() -> None:
    from datassay.training._trainer import learning_rate

    rates = [learning_rate(step, 10, head(learning_rate=1.0, warmup=0.2)) for step in range(10)]
    np.testing.assert_allclose(rates, [0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    cosine = head(learning_rate=1.0, warmup=0.0, schedule="cosine")
    np.testing.assert_allclose([learning_rate(step, 4, cosine) for step in (0, 2)], [1, 0.5])
    constant = head(learning_rate=1.0, warmup=0.5, schedule="constant")
    np.testing.assert_allclose([learning_rate(step, 4, constant) for step in range(4)], [0.5, 1, 1, 1])


def test_batches_hold_every_row_once_and_similar_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 1000)
    rows = np.arange(5, 1000)
    found = batches(rows, 16, generator(0, "x"), lengths)
    assert sorted(np.concatenate(found)) == list(rows)
    assert sum(np.ptp(lengths[batch]) for batch in found) < 10 * len(found)
    assert not np.array_equal(np.concatenate(found), np.concatenate(batches(rows, 16, generator(1, "x"), lengths)))
    assert [len(batch) for batch in batches(np.arange(9), 4, generator(0), None)] == [4, 5]
    assert [len(batch) for batch in batches(np.arange(1), 4, generator(0), None)] == [1]
    longest_first = np.concatenate(by_length(rows, 7, lengths))
    assert (np.diff(lengths[longest_first]) <= 0).all() and sorted(longest_first) == list(rows)


def test_logits_in_float16_and_those_that_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datassay.training import _record

    examples = text_examples()
    vectors = some_vectors(examples)
    plain = run(examples, vectors, head(), tmp_path)
    half = run(examples, vectors, head(dynamics_type="float16"), tmp_path)
    assert half.logits.dtype == np.float16
    np.testing.assert_array_equal(half.logits, plain.logits.astype(np.float16))
    monkeypatch.setattr(_record, "MOST_LOGITS", 1)
    mapped = train(examples, vectors, NAMES, head(), 0, Checkpoints(tmp_path, "disk"))
    assert isinstance(mapped.logits, np.memmap) and same(mapped, plain)
    pd.testing.assert_frame_equal(mapped.metrics, plain.metrics)
    again = train(examples, vectors, NAMES, head(), 0, Checkpoints(tmp_path, "disk"))
    assert same(again, plain)


def test_ragged_rows_are_padded() -> None:
    ragged = Ragged([[1, 2, 3], [4], [5, 6]])
    assert ragged.padded(np.array([2, 0, 1]), 9).tolist() == [[5, 6, 9], [1, 2, 3], [4, 9, 9]]


def test_augmentation_shifts_and_flips() -> None:
    import torch

    from datassay.training._small_images import augmented, pixel_statistics

    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    found = augmented(torch.from_numpy(images), generator(0, "a")).numpy()
    assert found.shape == images.shape and found.dtype == np.uint8
    for before, after in zip(images, found, strict=True):
        padded = np.pad(before, ((1, 1), (1, 1), (0, 0)), mode="edge")
        moved = [padded[i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
        assert any(np.array_equal(after, m) or np.array_equal(after, m[:, ::-1]) for m in moved)
    mean, std = pixel_statistics(images)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)) / 255)
    np.testing.assert_allclose(std, images.std(axis=(0, 1, 2)) / 255)
    assert pixel_statistics(np.zeros((2, 4, 4, 3), np.uint8))[1] == (1.0, 1.0, 1.0)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_gpu_training_repeats_itself(precision: str, tiny: Path, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    examples = text_examples()
    long = examples.assign(text=examples["text"].map(lambda text: " ".join([text] * 30)))  # attention in many pieces
    real = Finetune(name="m", recipe="finetune", epochs=2, max_length=256)
    for data, settings, given in (
        (examples, head(), some_vectors(examples)),
        (examples, finetune(tiny), None),
        (long, real, None),
    ):
        settings = settings.model_copy(update={"precision": precision})
        assert same(run(data, given, settings, tmp_path), run(data, given, settings, tmp_path))
