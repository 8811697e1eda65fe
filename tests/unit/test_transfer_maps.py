"""Embedding space maps: the ridge fit against brute force, gradient descent, held-out errors, and pooling by type."""

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import Finetune
from datassay.errors import DatassayError
from datassay.transfer import EmbeddingSpaceMap, fit_esm
from datassay.transfer.maps import LeaveOneOut
from tests.unit.tiny_bert import WIDTH, write_tiny


def pairs(n: int = 60, d: int = 6, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(n, d)) + 2
    return base, base @ rng.normal(size=(d, d)) + rng.normal(size=d) + noise * rng.normal(size=(n, d))


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Least squares with a free bias and `penalty` on the squared weights, by augmented rows."""
    d = x.shape[1]
    rows = np.vstack([np.hstack([x, np.ones((len(x), 1))]), np.hstack([penalty**0.5 * np.eye(d), np.zeros((d, 1))])])
    found = np.linalg.lstsq(rows, np.vstack([y, np.zeros((d, y.shape[1]))]), rcond=None)[0]
    return found[:-1].T, found[-1]


@pytest.mark.parametrize("penalty", [1e-3, 0.3, 20.0])
def test_leave_one_out_error_equals_leaving_every_row_out(penalty: float) -> None:
    x, y = pairs(25)
    found = LeaveOneOut(x, y, 25)
    errors = []
    for row in range(25):
        others = np.arange(25) != row
        weight, bias = ridge(x[others], y[others], penalty * found.sigma.mean())
        errors.append(y[row] - x[row] @ weight.T - bias)
    np.testing.assert_allclose(found.errors(penalty), errors, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        LeaveOneOut(x, y, 3).errors(penalty), np.array(errors)[[0, 12, 24]], rtol=1e-7, atol=1e-9
    )


def test_ridge_is_least_squares_with_the_best_penalty() -> None:
    x, y = pairs(40, noise=2.0)
    esm = fit_esm(x, y, held_out=0.0, penalties=[1e-3, 1e-1, 10.0])
    centred = x - x.mean(axis=0)
    weight, bias = ridge(x, y - x, esm.report["penalty"] * np.trace(centred.T @ centred) / x.shape[1])
    np.testing.assert_allclose(esm.layers[0][0], weight + np.eye(6), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(esm.layers[0][1], bias, rtol=1e-4, atol=1e-5)
    assert esm.report["rows"] == 40 and "mse" not in esm.report


def test_errors_are_those_of_rows_that_were_left_out() -> None:
    x, y = pairs(200)
    esm = fit_esm(x, y, held_out=0.25, seed=3)
    rest = np.sort(np.random.default_rng(3).permutation(200)[150:])
    assert esm.report["held_out_rows"] == 50
    assert esm.report["mse"] == pytest.approx(((esm.transform(x[rest]) - y[rest]) ** 2).mean())
    assert esm.report["mse_identity"] == pytest.approx(((x[rest] - y[rest]) ** 2).mean())
    assert esm.report["mse"] < 0.05 * esm.report["mse_identity"]
    assert esm.report["cosine"] > esm.report["cosine_identity"]


def test_little_data_leaves_the_embedding_as_it_is() -> None:
    """Three rows of a map close to the identity: what is not known of it is taken from the base model."""
    x, _ = pairs(40, 20)
    esm = fit_esm(x[:20], x[:20] + 0.01 * np.random.default_rng(0).normal(size=(20, 20)))
    assert esm.report["mse"] < 3 * esm.report["mse_identity"]
    assert np.abs(esm.layers[0][0] - np.eye(20)).max() < 0.1


def test_widths_may_differ_and_have_no_identity() -> None:
    x, y = pairs()
    esm = fit_esm(x, y[:, :4])
    assert esm.layers[0][0].shape == (4, 6) and esm.report["mse_identity"] is None
    assert esm.transform(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("fit", ["sgd", "mlp"])
def test_gradient_descent_learns_the_map(fit: str) -> None:
    x, y = pairs(160, noise=0.05)
    settings = {"epochs": 40, "batch_size": 48, "learning_rate": 6e-2}
    again = [fit_esm(x, y, fit=fit, seed=1, **settings) for _ in range(2)]
    assert again[0].architecture == {"sgd": "linear", "mlp": "mlp"}[fit]
    assert again[0].report["mse"] < 0.2 * again[0].report["mse_identity"]
    for (a, b), (c, d) in zip(again[0].layers, again[1].layers, strict=True):
        assert (a == c).all() and (b == d).all()


def test_a_map_of_two_layers_rectifies_between_them() -> None:
    flip = np.array([[-1.0]], np.float32)
    esm = EmbeddingSpaceMap(((flip, np.zeros(1, np.float32)), (flip, np.array([5.0], np.float32))))
    np.testing.assert_allclose(esm.transform(np.array([[2.0], [-2.0]])), [[5.0], [3.0]])


@pytest.mark.parametrize(
    ("base", "tuned", "text"),
    [
        (np.ones((4, 2)), np.ones((5, 2)), "4 base and 5 tuned"),
        (np.ones((2, 2)), np.ones((2, 2)), "3 at least"),
        (np.full((4, 2), np.nan), np.ones((4, 2)), "finite"),
        (np.ones((9, 2)), np.ones((9, 2)), "nothing to learn"),
    ],
)
def test_refuses_embeddings_without_a_map(base: np.ndarray, tuned: np.ndarray, text: str) -> None:
    with pytest.raises(DatassayError, match=text):
        fit_esm(base, tuned)


EXAMPLES = pd.DataFrame(
    {"text": ["w1 w2 w3", "w4", "w5 w6 w7 w8"], "text_b": ["w9", "w1 w2", "w3"], "label": [0, 1, 0], "split": "train"}
)
SETTINGS = Finetune(name="m", recipe="finetune", max_length=16, eval_batch_size=2)


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [
        ("bert", "pooler"),
        ("albert", "pooler"),
        ("roberta", "first"),
        ("distilbert", "first"),
        ("deberta-v2", "first"),
        ("modernbert", "first"),
        ("gpt2", "last"),
        ("llama", "last"),
        ("t5", "mean"),
    ],
)
def test_pooling_goes_by_the_type_of_the_model(tmp_path, kind: str, pooling: str) -> None:
    """Against one text at a time, without padding, from the model's own outputs."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from datassay.transfer._pooled import TextModel, pooling_of

    folder = str(write_tiny(tmp_path / kind, kind))
    assert pooling_of(folder) == pooling
    found = TextModel(EXAMPLES, folder, SETTINGS, pooling)(np.array([2, 0, 1]))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    for place, row in enumerate([2, 0, 1]):
        gap = " " if tokenizer.num_special_tokens_to_add(pair=True) == 0 else ""
        tokens = tokenizer(EXAMPLES["text"][row], gap + EXAMPLES["text_b"][row], return_tensors="pt")
        with torch.no_grad():
            output = model.get_encoder()(**tokens) if kind == "t5" else model(**tokens)
        hidden = output.last_hidden_state[0]
        wanted = {
            "pooler": lambda output=output: output.pooler_output[0],
            "first": lambda hidden=hidden: hidden[0],
            "last": lambda hidden=hidden: hidden[-1],
            "mean": lambda hidden=hidden: hidden.mean(dim=0),
        }[pooling]()
        np.testing.assert_allclose(found[place], wanted.numpy(), atol=1e-5)


def test_sentence_transformers_are_pooled_as_they_say(tmp_path) -> None:
    from datassay.transfer._pooled import pooling_of

    folder = write_tiny(tmp_path / "bert", "bert")
    (folder / "modules.json").write_text("[]")
    assert pooling_of(str(folder)) == "mean"
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert pooling_of(str(folder)) == "first"


def test_a_tuned_model_is_saved_resumed_and_read_with_its_head(tmp_path, monkeypatch) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    from datassay.checkpoints import Interrupted
    from datassay.training import tune
    from datassay.transfer._pooled import TextModel

    folder = str(write_tiny(tmp_path / "base", "bert"))
    rng = np.random.default_rng(0)
    examples = pd.DataFrame(
        {"text": [f"w{i} w{j}" for i, j in rng.integers(0, 40, (24, 2))], "label": np.arange(24) % 3, "split": "train"}
    )
    settings = Finetune(name="m", recipe="finetune", backbone=folder, epochs=3, max_length=8, batch_size=8)
    names = ["a", "b", "c"]
    tune(examples, names, settings, 5, Checkpoints(tmp_path / "one", "k"), tmp_path / "whole")
    stopped = Checkpoints(tmp_path / "two", "k")
    monkeypatch.setattr("datassay.checkpoints._stop_signal", [15])
    with pytest.raises(Interrupted):
        tune(examples, names, settings, 5, stopped, tmp_path / "resumed")
    monkeypatch.setattr("datassay.checkpoints._stop_signal", [])
    assert stopped.names() == ["tuned"]
    tune(examples, names, settings, 5, stopped, tmp_path / "resumed")
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "resumed"))
    assert whole == resumed
    vectors, logits = TextModel(examples, str(tmp_path / "whole"), settings, "pooler", head=True).with_logits(
        np.arange(24)
    )
    bare = TextModel(examples, str(tmp_path / "whole"), settings, "pooler")(np.arange(24))
    np.testing.assert_allclose(vectors, bare, atol=1e-6)
    assert vectors.shape == (24, WIDTH) and logits.shape == (24, 3)
    with pytest.raises(DatassayError, match="no trained classifier"):
        TextModel(examples, folder, settings, "pooler", head=True)
    head = AutoModelForSequenceClassification.from_pretrained(tmp_path / "whole").classifier
    with torch.no_grad():
        np.testing.assert_allclose(head(torch.from_numpy(vectors)).numpy(), logits, atol=1e-5)
