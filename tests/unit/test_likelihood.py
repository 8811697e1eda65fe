"""Likelihood of texts under tiny random language models, against one text and one mask at a time."""

import functools
import inspect
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import LanguageModel
from datassay.errors import DatassayError
from datassay.measures import _language, likelihood
from tests.unit.tiny_bert import WORDS, words, write_tiny_bert

SIZES = {
    "bert": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16},
    "roberta": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "bos_token_id": 2, "eos_token_id": 3},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per kind of model; equal weights in every run."""
    import torch
    from tokenizers import processors
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    place = tmp_path_factory.mktemp("languages")
    write_tiny_bert(place / "encoder")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for kind, sizes in SIZES.items():
            config = AutoConfig.for_model(
                kind, vocab_size=len(WORDS), pad_token_id=0, type_vocab_size=2, initializer_range=1.0, **sizes
            )
            auto = AutoModelForCausalLM if kind == "gpt2" else AutoModelForMaskedLM
            auto.from_config(config).save_pretrained(place / kind)
            tokenizer = AutoTokenizer.from_pretrained(place / "encoder")
            if kind != "bert":
                tokenizer.model_input_names = ["input_ids", "attention_mask"]
            if kind == "gpt2":  # a start token that the tokenizer does not add, no token for padding
                tokenizer._tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B")
                tokenizer.bos_token, tokenizer.pad_token = "[CLS]", None
            tokenizer.save_pretrained(place / kind)
    return place


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"text": [*words(rng, 12), "", "w3 [SEP] w4 [MASK]"]})
    return table.assign(text_b=[*words(rng, 13), "w5"])


def score(examples: pd.DataFrame, model: Path, folder: Path, **settings: object) -> np.ndarray:
    progress = Checkpoints(folder, "key")
    found = likelihood.pseudo_log_likelihood(examples, LanguageModel(model=str(model), **settings), progress)
    progress.clear()
    assert found.dtype == np.float32 and found.shape == (len(examples),)
    return found


@functools.cache
def loaded(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    auto = AutoModelForCausalLM if folder.name == "gpt2" else AutoModelForMaskedLM
    return AutoTokenizer.from_pretrained(folder), auto.from_pretrained(folder).eval()


def plain_loop(first: str, second: str | None, model_folder: Path, mode: str) -> float:
    """Return the definition, one pass per token, all logits."""
    import torch

    tokenizer, model = loaded(model_folder)
    causal = model_folder.name == "gpt2"
    ids = [tokenizer.encode(t, add_special_tokens=False, split_special_tokens=True) for t in (first, second) if t]
    if causal:
        tokens = [2, *itertools.chain(*ids)]
        content = list(range(1, len(tokens)))
    else:
        tokens, segments, content = [2], [0], []
        for number, part in enumerate(ids if second is not None else ids or [[]]):
            content += range(len(tokens), len(tokens) + len(part))
            tokens, segments = [*tokens, *part, 3], segments + [number] * (len(part) + 1)
    total = 0.0
    for place in content:
        row = torch.tensor([tokens])
        if mode == "masked" and not causal:
            row[0, place] = 4
        extra = {"token_type_ids": torch.tensor([segments])} if model_folder.name == "bert" else {}
        with torch.no_grad():
            logits = model(input_ids=row, **extra).logits[0, place - 1 if causal else place].double()
        total += float(logits.log_softmax(0)[tokens[place]])
    return total / max(len(content), 1)


@pytest.mark.parametrize("mode", ["masked", "unmasked"])
@pytest.mark.parametrize("kind", SIZES)
def test_scores_are_those_of_a_plain_loop(kind: str, mode: str, folder: Path, texts: pd.DataFrame, tmp_path: Path):
    single = score(texts[["text"]], folder / kind, tmp_path, mode=mode)
    expected = [plain_loop(text, None, folder / kind, mode) for text in texts["text"]]
    np.testing.assert_allclose(single, expected, atol=1e-4)
    assert single[12] == 0 and np.unique(single).size > 10
    pairs = texts[texts["text"] != ""]
    paired = score(pairs, folder / kind, tmp_path, mode=mode)
    expected = [plain_loop(*row, folder / kind, mode) for row in zip(pairs["text"], pairs["text_b"], strict=True)]
    np.testing.assert_allclose(paired, expected, atol=1e-4)


def test_the_options_of_a_choice_are_read_as_a_second_text(folder: Path, texts: pd.DataFrame, tmp_path: Path) -> None:
    pairs = texts[texts["text"] != ""].reset_index(drop=True)
    options = [[text, "w7"] for text in pairs["text_b"]]
    joined = [" / ".join(row) for row in options]
    alone = score(pairs[["text"]].assign(options=options), folder / "bert", tmp_path)
    np.testing.assert_array_equal(alone, score(pairs[["text"]].assign(text_b=joined), folder / "bert", tmp_path))
    behind = score(pairs.assign(options=options), folder / "bert", tmp_path)
    expected = [f"{second} {text}" if second else text for second, text in zip(pairs["text_b"], joined, strict=True)]
    np.testing.assert_array_equal(behind, score(pairs.assign(text_b=expected), folder / "bert", tmp_path))


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_the_budget_changes_rounding_only_and_no_batch_exceeds_it(
    kind: str, folder: Path, texts: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BertForMaskedLM, GPT2LMHeadModel

    sizes: list[int] = []
    network = GPT2LMHeadModel if kind == "gpt2" else BertForMaskedLM
    forward = network.forward

    def counted(self, *args, **kwargs):
        sizes.append(kwargs["input_ids"].numel())
        return forward(self, *args, **kwargs)

    counted.__signature__ = inspect.signature(forward)
    monkeypatch.setattr(network, "forward", counted)
    narrow: list[bool] = []
    read = _language.Language._read
    monkeypatch.setattr(
        _language.Language, "_read", lambda *a, **k: (narrow.append([*a, *k.values()][-1]), read(*a, **k))[1]
    )
    found = {}
    for budget in (1, 40, 100_000):
        sizes.clear()
        found[budget] = score(texts, folder / kind, tmp_path, tokens_per_batch=budget)
        assert budget == 1 or max(sizes) <= budget
    np.testing.assert_allclose(found[1], found[100_000], atol=1e-5)
    np.testing.assert_allclose(found[40], found[100_000], atol=1e-5)
    assert narrow[:2] == [False, True] and narrow.count(False) == 3, "the head runs in full once per call"


def test_long_texts_are_cut(folder: Path, texts: pd.DataFrame, tmp_path: Path) -> None:
    long = " ".join(f"w{i}" for i in range(30))
    for kind, kept in (("bert", 8), ("gpt2", 9)):
        cut = " ".join(f"w{i}" for i in range(kept))
        found = score(pd.DataFrame({"text": [long, cut]}), folder / kind, tmp_path, max_length=10)
        assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_a_killed_job_goes_on(folder: Path, texts: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(likelihood, "UNIT_TOKENS", 300)
    whole = score(texts, folder / "bert", tmp_path)
    settings, progress = LanguageModel(model=str(folder / "bert")), Checkpoints(tmp_path, "killed")
    done: list[str] = []

    class Killed(Exception):
        pass

    def kill(name: str) -> None:
        done.append(name)
        if len(done) == 2:
            raise Killed

    monkeypatch.setattr(likelihood, "unit_done", kill)
    with pytest.raises(Killed):
        likelihood.pseudo_log_likelihood(texts, settings, progress)
    assert len(progress.names()) == 2
    rest: list[np.ndarray] = []
    means = likelihood._means
    monkeypatch.setattr(likelihood, "_means", lambda rows, *args: (rest.append(rows), means(rows, *args))[1])
    again = likelihood.pseudo_log_likelihood(texts, settings, progress)
    assert again.tobytes() == whole.tobytes()
    assert 0 < len(np.concatenate(rest)) < len(texts) and len(rest) == len(done) - 2


def test_a_head_that_needs_all_places_is_run_in_full(
    folder: Path, texts: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.bert.modeling_bert import BertOnlyMLMHead

    expected = score(texts, folder / "bert", tmp_path)
    forward = BertOnlyMLMHead.forward
    monkeypatch.setattr(BertOnlyMLMHead, "forward", lambda self, x: forward(self, x - x.mean(dim=1, keepdim=True)))
    whole = score(texts, folder / "bert", tmp_path)
    monkeypatch.setattr(_language, "_only", None)  # what must not be reached after the first comparison
    np.testing.assert_array_equal(whole, score(texts, folder / "bert", tmp_path))
    assert not np.allclose(whole, expected, atol=1e-2)


def test_faults_are_one_line(folder: Path, texts: pd.DataFrame, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, T5Config, ViTConfig

    def fails(match: str, model: Path, **settings: object) -> None:
        with pytest.raises(DatassayError, match=match) as caught:
            score(texts, model, tmp_path, **settings)
        assert "\n" not in str(caught.value)

    for kind, config in (("t5", T5Config(num_layers=1)), ("vit", ViTConfig())):
        config.save_pretrained(tmp_path / kind)
        AutoTokenizer.from_pretrained(folder / "bert").save_pretrained(tmp_path / kind)
    fails("'t5' is an encoder-decoder, name a masked or a causal model", tmp_path / "t5")
    fails("'vit' is no language model", tmp_path / "vit")
    fails("it has no pretrained cls.predictions.*, so that it is no language model", folder / "encoder")
    fails("no such folder", tmp_path / "nowhere")
    from transformers import BertForMaskedLM

    BertForMaskedLM.from_pretrained(folder / "bert").save_pretrained(tmp_path / "maskless")
    tokenizer = AutoTokenizer.from_pretrained(folder / "bert")
    tokenizer.mask_token = None
    tokenizer.save_pretrained(tmp_path / "maskless")
    fails("its tokenizer has no mask token, set mode: unmasked", tmp_path / "maskless")
    assert np.isfinite(score(texts, tmp_path / "maskless", tmp_path, mode="unmasked")).all()
