"""Encoders: right vectors, unit rows, and the same bytes after a kill."""

import io
import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import Encoder
from datassay.encoders import backbones, embed
from datassay.encoders.pixels import principal_axes
from datassay.errors import DatassayError
from tests.unit.tiny_bert import words, write_tiny_bert


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    return pd.DataFrame({"text": [*words(np.random.default_rng(0), 50), ""], "split": "train"})


def _embed(examples: pd.DataFrame, folder: Path, **settings: object) -> np.ndarray:
    encoder = Encoder(**{"name": "e", "kind": "sentence_transformer", "precision": "float32", **settings})
    checkpoints = Checkpoints(folder, "key")
    shape = embed(examples, encoder, checkpoints, folder / "vectors.npy")
    checkpoints.clear()
    vectors = np.load(folder / "vectors.npy")
    assert vectors.shape == shape and vectors.dtype == np.float32
    return vectors


def test_text_vectors_are_those_of_sentence_transformers(texts: pd.DataFrame, tiny: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    found = _embed(texts, tmp_path, model=str(tiny), batch_size=8, shard_rows=20)
    peer = SentenceTransformer(str(tiny), device="cpu").encode(texts["text"].tolist(), normalize_embeddings=True)
    np.testing.assert_allclose(found, peer, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_text_vectors_are_mean_pooled_hidden_states(texts: pd.DataFrame, tiny: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    pairs = texts.assign(text_b=texts["text"][::-1].to_numpy())
    found = _embed(pairs, tmp_path, model=str(tiny), batch_size=8)
    model, tokenizer = AutoModel.from_pretrained(tiny).eval(), AutoTokenizer.from_pretrained(tiny)
    for row in (1, 7, 49):
        tokens = tokenizer(pairs["text"][row], pairs["text_b"][row], return_tensors="pt")
        with torch.no_grad():
            mean = model(**tokens).last_hidden_state[0].mean(0).numpy()
        np.testing.assert_allclose(found[row], mean / np.linalg.norm(mean), atol=1e-5)


def test_a_choice_is_embedded_with_all_its_options(texts: pd.DataFrame, tiny: Path, tmp_path: Path) -> None:
    options = [[text, "other"] for text in texts["text"][::-1]]
    joined = [" / ".join(two) for two in options]
    found = _embed(texts.assign(options=options), tmp_path, model=str(tiny))
    np.testing.assert_array_equal(found, _embed(texts.assign(text_b=joined), tmp_path, model=str(tiny)))
    both = _embed(texts.assign(text_b=texts["text"], options=options), tmp_path, model=str(tiny))
    after = [" ".join(filter(None, pair)) for pair in zip(texts["text"], joined, strict=True)]
    np.testing.assert_array_equal(both, _embed(texts.assign(text_b=after), tmp_path, model=str(tiny)))
    assert not np.allclose(found, both)


def test_max_length_cuts_texts(texts: pd.DataFrame, tiny: Path, tmp_path: Path) -> None:
    cut = pd.DataFrame({"text": [" ".join(text.split()[:3]) for text in texts["text"]]})
    np.testing.assert_allclose(
        _embed(texts, tmp_path, model=str(tiny), max_length=5), _embed(cut, tmp_path, model=str(tiny)), atol=1e-5
    )


def _work(tiny: Path, texts: pd.DataFrame, folder: Path, crash_at: str) -> None:
    os.environ["DATASSAY_CRASH_AT"] = crash_at
    encoder = Encoder(name="e", kind="sentence_transformer", model=str(tiny), shard_rows=12, precision="float32")
    embed(texts, encoder, Checkpoints(folder, "key"), folder / "vectors.npy")


def _job(tiny: Path, texts: pd.DataFrame, folder: Path, crash_at: str = "") -> int | None:
    """Run _work in a process of its own, forked from one that has loaded torch; return its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datassay.encoders._text"])
    process = context.Process(target=_work, args=(tiny, texts, folder, crash_at))
    process.start()
    process.join(120)
    return process.exitcode


def test_killed_embedding_goes_on_and_ends_with_the_same_bytes(
    texts: pd.DataFrame, tiny: Path, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root / "workflow_scripts"), str(root)]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert _job(tiny, texts, killed, "shard:2") == -9
    assert not (killed / "vectors.npy").exists()
    records = sorted((killed / ".checkpoints" / "key").iterdir())
    assert [record.name for record in records] == ["shard000000", "shard000001"]
    kept = records[0].stat().st_mtime_ns
    records[1].write_bytes(records[1].read_bytes()[:-1] + b"x")
    assert _job(tiny, texts, killed) == 0 and _job(tiny, texts, whole) == 0
    assert records[0].stat().st_mtime_ns == kept
    assert (killed / "vectors.npy").read_bytes() == (whole / "vectors.npy").read_bytes()


def test_principal_axes_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.decomposition import PCA

    monkeypatch.setattr("datassay.encoders.pixels.BLOCK", 30)
    x = np.random.default_rng(0).normal(size=(100, 12)).astype(np.float32) * np.arange(1, 13, dtype=np.float32) + 3
    mean, axes = principal_axes(lambda block: x[block], len(x), 4)
    peer = PCA(4, svd_solver="full").fit(x)
    signs = np.sign((axes * peer.components_.T).sum(0))
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(axes, peer.components_.T * signs, atol=1e-4)
    assert (axes[np.abs(axes).argmax(0), range(4)] > 0).all()


def _images(n: int, side: int = 8) -> pd.DataFrame:
    from PIL import Image

    rng = np.random.default_rng(0)
    cells = []
    for _ in range(n):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(file, "PNG")
        cells.append({"bytes": file.getvalue(), "path": None})
    return pd.DataFrame({"image": cells, "split": np.where(np.arange(n) < n // 2, "train", "test")})


def _pixels(examples: pd.DataFrame) -> np.ndarray:
    from PIL import Image

    arrays = [np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in examples["image"]]
    return np.stack(arrays).reshape(len(examples), -1).astype(np.float64) / 255


def test_pixels_are_fitted_on_the_train_rows(tmp_path: Path) -> None:
    from sklearn.decomposition import PCA

    examples = _images(40)
    found = _embed(examples, tmp_path, kind="pixels", image_size=8, components=5, shard_rows=16)
    x = _pixels(examples)
    projected = PCA(5, svd_solver="full").fit(x[:20]).transform(x)
    expected = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)


def test_black_image_stays_zero(tmp_path: Path) -> None:
    from PIL import Image

    examples, file = _images(4), io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    examples.at[2, "image"] = {"bytes": file.getvalue(), "path": None}
    found = _embed(examples, tmp_path, kind="pixels", image_size=8, components=None)
    assert not found[2].any()
    np.testing.assert_allclose(np.linalg.norm(found[[0, 1, 3]], axis=1), 1, atol=1e-6)


def test_vision_vectors_are_the_models_own(tmp_path: Path) -> None:
    import torch
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    model = ResNetModel(config).eval()
    model.save_pretrained(tmp_path / "resnet")
    processor = {"image_processor_type": "ConvNextImageProcessor", "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (tmp_path / "resnet" / "preprocessor_config.json").write_text(json.dumps({**processor, "size": {"height": 8}}))
    examples = _images(5)
    found = _embed(examples, tmp_path, kind="vision", model=str(tmp_path / "resnet"), batch_size=2)
    x = torch.tensor((_pixels(examples).reshape(5, 8, 8, 3) - 0.5) / 0.25, dtype=torch.float32).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = model(x).pooler_output.flatten(1).numpy()
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_untrained_pooler_is_not_used(tmp_path: Path) -> None:
    import torch
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4
    )
    model = ViTModel(config, add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path / "vit")
    examples = _images(3)
    found = _embed(examples, tmp_path, kind="vision", model=str(tmp_path / "vit"))
    pixels = _pixels(examples).reshape(3, 8, 8, 3)
    x = torch.tensor((pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], dtype=torch.float32)
    with torch.no_grad():
        expected = model(x.permute(0, 3, 1, 2)).last_hidden_state.mean(1).numpy()
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_faults_are_one_line(texts: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatassayError, match="needs a column 'image'"):
        _embed(texts, tmp_path, kind="pixels")
    with pytest.raises(DatassayError, match="no such folder"):
        _embed(texts, tmp_path, model=str(tmp_path / "missing"))
    with pytest.raises(DatassayError, match="builtin:minilm"):
        backbones.model_source("builtin:other")
    with pytest.raises(DatassayError, match="no examples"):
        _embed(texts.head(0), tmp_path)
    with pytest.raises(DatassayError, match="image_size 65 is too large"):
        _embed(_images(2), tmp_path, kind="pixels", image_size=65)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatassayError, match="cannot be loaded") as caught:
        _embed(texts, tmp_path, model=str(tmp_path / "empty"))
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(backbones, "MINILM_SHA256", "0" * 64)
    backbones._minilm_folder.cache_clear()
    with pytest.raises(DatassayError, match="sha256"):
        backbones.model_source("builtin:minilm")
    backbones._minilm_folder.cache_clear()
