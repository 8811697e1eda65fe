"""Every kind of backbone, tiny and random: learns, is recorded, drops out, freezes, is saved and read again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.training import Recording
from tests.unit.test_training import N_TRAIN, NAMES, N, finetune, run, text_examples
from tests.unit.tiny_bert import KINDS, WIDTH, write_tiny, write_tokenizer

FROZEN = {"freeze_embeddings": True, "freeze_layers": 1}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function: kind -> folder of a tiny backbone."""
    written: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in written:
            written[kind] = write_tiny(tmp_path_factory.mktemp(kind), kind)
        return written[kind]

    return folder


def saved(recording: Recording, folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    recording.save_model(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def build_task(folder: Path, **settings: object) -> Any:
    """Return the model of a backbone before training, ready to be trained."""
    import torch

    from datassay.training._finetune import finetune as recipe
    from datassay.training._objective import make_objective

    examples = text_examples()
    objective = make_objective("classification", examples["label"].to_numpy(), NAMES, 0, np.arange(9))
    with torch.random.fork_rng():
        return recipe(examples, objective, finetune(folder, **settings))(torch.device("cpu"))


@pytest.mark.parametrize("kind", [*KINDS, "llama"])
def test_backbone_learns_and_is_recorded_and_read_again(kind: str, folders, tmp_path: Path) -> None:
    import torch

    examples = text_examples()
    settings = finetune(folders(kind), epochs=8, learning_rate=3e-3, dropout=0.1)
    recording = run(examples, None, settings, tmp_path)
    train = recording.metrics[recording.metrics["split"] == "train"]
    assert train["loss"].iloc[-1] < 0.9 * np.log(3) and train["accuracy"].iloc[-1] > 0.5
    assert recording.features.shape == (N, WIDTH) and recording.mc_logits.shape == (3, N_TRAIN, 3)
    assert np.abs(recording.mc_logits[0] - recording.mc_logits[1]).max() > 1e-3
    # features are what the last linear layer reads, of a decoder at the last token
    model, tokenizer = saved(recording, tmp_path / "model")
    head = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    bias = 0 if head.bias is None else head.bias.detach().numpy()
    from_features = recording.features @ head.weight.detach().numpy().T + bias
    np.testing.assert_allclose(from_features, recording.logits[-1], atol=1e-4)
    # padding changes nothing: the saved model gives one text at a time what was recorded in batches
    assert model.config.pad_token_id == tokenizer.pad_token_id is not None
    assert model.config.id2label == dict(enumerate(NAMES))
    with torch.no_grad():
        alone = [model(**tokenizer(text, return_tensors="pt")).logits[0].numpy() for text in examples["text"]]
    np.testing.assert_allclose(alone, recording.logits[-1], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_of_the_config_reaches_every_layer(kind: str, folders) -> None:
    import torch

    from datassay.training._dropout import _has_dropout

    for dropout in (0.25, 0.0):
        task = build_task(folders(kind), dropout=dropout)
        shares = {m.p for m in task.model.modules() if isinstance(m, torch.nn.Dropout)}
        shares |= {v for m in task.model.modules() for k, v in vars(m).items() if "drop" in k and isinstance(v, float)}
        assert shares <= {dropout} and (shares or dropout == 0)
        task.mode(training=True)
        assert _has_dropout(task.model) == (dropout > 0)
        task.mode(training=False)
        assert not _has_dropout(task.model)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "albert"])
def test_frozen_layers_stay_and_their_cache_changes_nothing(
    kind: str, folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import AutoModel

    from datassay.training import _frozen

    settings = finetune(folders(kind), epochs=3, learning_rate=3e-3, mc_passes=2, **FROZEN)
    with caplog.at_level("INFO", logger="datassay"):
        recording = run(text_examples(), None, settings, tmp_path)
    assert ("frozen layers ran once" in caplog.text) == (kind not in ("gpt2", "t5"))
    monkeypatch.setattr(_frozen, "CACHE_BYTES", 0)
    plain = run(text_examples(), None, settings, tmp_path)
    for name in ("logits", "mc_logits", "features"):
        np.testing.assert_allclose(getattr(recording, name), getattr(plain, name), atol=2e-4)
    model, _ = saved(recording, tmp_path / "model")
    before, after = AutoModel.from_pretrained(folders(kind)).state_dict(), model.base_model.state_dict()
    moved = {name for name in before.keys() & after.keys() if not np.array_equal(before[name], after[name])}
    lowest = {"gpt2": "h.0.", "t5": "encoder.block.0.", "distilbert": "transformer.layer.0.", "modernbert": "layers.0."}
    fixed = (lowest.get(kind, "encoder.layer.0."), "embeddings.", "encoder.rel_embeddings", "wte", "wpe", "shared")
    assert moved and not [name for name in moved if name.startswith(fixed) or "embed_tokens" in name]
    upper = {"gpt2": "h.1.", "t5": "decoder.block.0.", "distilbert": "transformer.layer.1.", "modernbert": "layers.1."}
    learning = upper.get(kind, "encoder.layer.1.")
    assert {name for name in before if name.startswith(learning) and "weight" in name} <= moved


def test_layers_of_an_encoder_decoder_count_from_encoder_to_decoder(folders) -> None:
    task = build_task(folders("t5"), freeze_layers=3)
    still = [name for name, p in task.model.named_parameters() if not p.requires_grad]
    blocks = {name.removeprefix("transformer.").split(".layer")[0] for name in still}
    assert blocks == {"encoder.block.0", "encoder.block.1", "decoder.block.0"}
    with pytest.raises(DatassayError, match="freeze_layers is 5, the backbone has 4"):
        build_task(folders("t5"), freeze_layers=5)


def test_albert_shares_its_layers_and_freezes_embeddings_only(folders, tmp_path: Path) -> None:
    with pytest.raises(DatassayError, match=r"no list of layers found in type 'albert'.*set freeze_layers: 0"):
        build_task(folders("albert"), **FROZEN)
    task = build_task(folders("albert"), freeze_embeddings=True)
    still = {name for name, p in task.model.named_parameters() if not p.requires_grad}
    assert still and all(name.startswith("albert.embeddings.") for name in still)


def test_layers_below_a_weight_that_learns_are_not_cached(
    folders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from datassay.training import _frozen

    monkeypatch.setattr(_frozen, "_embeddings", lambda base: (base.embeddings,))  # the shared places of DeBERTa learn
    with caplog.at_level("INFO", logger="datassay"):
        build_task(folders("deberta-v2"), **FROZEN)
    assert "frozen layers depend on weights that learn" in caplog.text


def test_a_backbone_that_cannot_be_cut_runs_in_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_tiny(tmp_path / "conv", "deberta-v2", conv_kernel_size=3)  # a convolution beside the first layer
    with caplog.at_level("INFO", logger="datassay"):
        task = build_task(folder, **FROZEN)
    assert "frozen layers run again in every pass" in caplog.text
    assert set(task.inputs(np.arange(3), None)) == {"input_ids", "attention_mask"}


def test_an_end_token_inside_a_text_is_text_to_an_encoder_decoder(folders, tmp_path: Path) -> None:
    examples = text_examples()
    examples.loc[:4, "text"] = "w1 [SEP] w2"
    recording = run(examples, None, finetune(folders("t5"), epochs=1), tmp_path)
    assert np.isfinite(recording.logits).all()
    folder = write_tiny(tmp_path / "endless", "t5")
    write_tokenizer(folder, "gpt2")
    with pytest.raises(DatassayError, match=r"does not put its end token \(3\) behind every text"):
        run(examples, None, finetune(folder, epochs=1), tmp_path)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "t5"])
def test_pairs_are_encoded_as_the_tokenizer_does(kind: str, folders) -> None:
    import pandas as pd
    from transformers import AutoConfig, AutoTokenizer

    from datassay.training._tokens import encode

    table = pd.DataFrame({"text": ["w1 w2 w3 w4 w5", "w1", "w1"], "text_b": ["w6", None, "w6 w5 w4 w3 w2 w1 w1 w1"]})
    tokenizer, config = (kind_of.from_pretrained(folders(kind)) for kind_of in (AutoTokenizer, AutoConfig))
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    encoded = encode(table, "classification", tokenizer, config, finetune(folders(kind), max_length=7))
    w = {i: 4 + i for i in range(1, 7)}
    w = {i: tokenizer.convert_tokens_to_ids(f"w{i}") for i in w}
    expected = {
        "bert": [2, w[1], w[2], w[3], 3, w[6], 3],  # the longer of the two was cut
        "roberta": [2, w[1], w[2], 3, 3, w[6], 3],
        "gpt2": [w[1], w[2], w[3], w[4], w[5], w[6]],
        "t5": [w[1], w[2], w[3], w[4], 3, w[6], 3],
    }[kind]
    batch = encoded.ids.padded(np.arange(3), encoded.pad)
    assert encoded.lengths[1] <= 5 and encoded.lengths[2] == 7 and {w[1], w[6], w[5]} <= {*batch[2].tolist()}
    assert batch[0, : len(expected)].tolist() == expected and encoded.lengths[0] == len(expected)
    if kind == "bert":
        assert encoded.arrays["token_type_ids"].padded(np.array([0]), 0)[0].tolist() == [0, 0, 0, 0, 0, 1, 1]
