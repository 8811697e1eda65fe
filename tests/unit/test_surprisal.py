"""What surprises a masked language model, against a loop that reads one text at a time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import Surprise
from datassay.errors import DatassayError
from datassay.measures import surprisal
from datassay.measures.surprisal import token_surprisal
from tests.unit.tiny_bert import words, write_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import BertConfig, BertForMaskedLM

    place = tmp_path_factory.mktemp("masked")
    write_tokenizer(place)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=45, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=70, pad_token_id=0, initializer_range=0.5,
        )  # fmt: skip
        BertForMaskedLM(config).save_pretrained(place)
    return place


@pytest.fixture
def texts() -> pd.DataFrame:
    return pd.DataFrame({"text": words(np.random.default_rng(0), 30)})


def settings(folder: Path, **given: object) -> Surprise:
    return Surprise.model_validate({"model": str(folder), "share": 0.4, "precision": "float32"} | given)


@pytest.mark.parametrize("mode", ["masked", "unmasked"])
def test_surprisal_is_the_loss_at_the_sampled_tokens(mode: str, folder: Path, texts: pd.DataFrame, tmp_path: Path):
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    found = token_surprisal(texts, settings(folder, mode=mode, tokens_per_batch=40), Checkpoints(tmp_path, "x"))
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for row, text in enumerate(texts["text"]):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        (places,) = np.nonzero(found[row])
        content = ids.shape[1] - 2
        assert len(places) == max(1, round(0.4 * content)) and (places > 0).all() and (places <= content).all()
        shown = ids.clone()
        if mode == "masked":
            shown[0, places] = tokenizer.mask_token_id
        with torch.no_grad():
            scores = model(input_ids=shown).logits[0].log_softmax(-1)
        np.testing.assert_allclose(found[row, places], -scores[places, ids[0, places]].numpy(), rtol=1e-4, atol=1e-4)


def test_which_tokens_are_drawn_depends_on_the_seed(folder: Path, texts: pd.DataFrame, tmp_path: Path):
    first, same, other = (
        token_surprisal(texts, settings(folder, seed=seed), Checkpoints(tmp_path, str(i)))
        for i, seed in enumerate((0, 0, 1))
    )
    assert np.array_equal(first, same) and not np.array_equal(first > 0, other > 0)


def test_units_that_were_saved_are_not_scored_again(folder: Path, texts: pd.DataFrame, tmp_path: Path, monkeypatch):
    whole = token_surprisal(texts, settings(folder), Checkpoints(tmp_path, "whole"))
    monkeypatch.setattr(surprisal, "UNIT_TEXTS", 8)

    class Killed(Exception):
        pass

    def kill(name: str) -> None:
        raise Killed

    progress = Checkpoints(tmp_path, "killed")
    with monkeypatch.context() as patch:
        patch.setattr(surprisal, "unit_done", kill)
        with pytest.raises(Killed):
            token_surprisal(texts, settings(folder), progress)
    assert progress.names() == ["surprisal0000000000"]
    np.testing.assert_allclose(token_surprisal(texts, settings(folder), progress), whole, atol=1e-5)
    assert len(progress.names()) == 4


def test_a_causal_model_is_refused(texts: pd.DataFrame, tmp_path: Path):
    from transformers import AutoConfig, AutoModelForCausalLM

    write_tokenizer(tmp_path, "gpt2")
    config = AutoConfig.for_model("gpt2", vocab_size=45, n_embd=32, n_head=2, n_layer=1, n_positions=70)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(DatassayError, match=r"active_learning\.alps: .* reads from left to right"):
        token_surprisal(texts, settings(tmp_path), Checkpoints(tmp_path, "x"))
