"""Backbones of two narrow layers with random weights and a word-level tokenizer, written into a folder."""

from pathlib import Path

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(40))]
WIDTH = 32
KINDS = ("bert", "roberta", "deberta-v2", "distilbert", "albert", "modernbert", "gpt2", "t5")

# How every kind marks a text and a pair, as its real tokenizer does.
_TEMPLATES = {
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "roberta": ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]"),
    "t5": ("$A [SEP]", "$A [SEP] $B [SEP]"),
    "gpt2": None,
    "llama": None,
}
_LAYERS = {"hidden_size": WIDTH, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 70}
_DEEP = {**_LAYERS, "initializer_range": 0.3}
_DISENTANGLED = {"relative_attention": True, "pos_att_type": "p2c|c2p", "norm_rel_ebd": "layer_norm"}
_MARKS = {"bos_token_id": 2, "cls_token_id": 2, "sep_token_id": 3}
_SIZES: dict[str, dict[str, object]] = {
    "bert": _DEEP,
    "roberta": _DEEP,
    "deberta-v2": {**_DEEP, **_DISENTANGLED, "position_buckets": 8, "share_att_key": True, "type_vocab_size": 0},
    "distilbert": {
        "dim": WIDTH,
        "n_heads": 2,
        "hidden_dim": 64,
        "max_position_embeddings": 70,
        "initializer_range": 0.3,
    },
    "albert": {**_DEEP, "embedding_size": 16},
    "modernbert": {**_LAYERS, **_MARKS, "local_attention": 8, "global_attn_every_n_layers": 2},
    "gpt2": {"n_embd": WIDTH, "n_head": 2, "n_positions": 70, "bos_token_id": 3},
    "llama": {**_DEEP, "bos_token_id": 2, "attention_dropout": 0.0},
    "t5": {
        "d_model": WIDTH,
        "num_heads": 2,
        "d_kv": 16,
        "d_ff": 64,
        "num_decoder_layers": 2,
    },
}


def write_tokenizer(folder: Path, kind: str = "bert") -> None:
    """Save a tokenizer that marks texts as that of a kind does; those of decoders have no padding."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = _TEMPLATES.get(kind, _TEMPLATES["bert"])
    if template:
        special = [(word, WORDS.index(word)) for word in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template[0], pair=template[1], special_tokens=special
        )
    names = {"unk_token": "[UNK]", "eos_token": "[SEP]"}
    if template:
        names |= {"pad_token": "[PAD]"}
    if template and kind != "t5":
        names |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    inputs = ["input_ids", *(["token_type_ids"] if kind in ("bert", "albert") else []), "attention_mask"]
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, model_input_names=inputs, **names)
    fast.save_pretrained(folder)


def write_tiny(folder: Path, kind: str, layers: int = 2, dropout: float = 0.1, **settings: object) -> Path:
    """Save model and tokenizer of a kind under `folder`; equal arguments, equal weights."""
    import torch
    from transformers import AutoConfig, AutoModel

    write_tokenizer(folder, kind)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(WORDS),
        num_hidden_layers=layers,
        pad_token_id=0 if _TEMPLATES.get(kind, True) else None,
        eos_token_id=3,
        **_SIZES[kind],
        **settings,
    )
    for key, value in config.to_dict().items():
        if "drop" in key and "layerdrop" not in key and isinstance(value, float):
            setattr(config, key, dropout)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder)
    return folder


def write_tiny_bert(folder: Path, layers: int = 2, dropout: float = 0.1) -> Path:
    """Save a BERT and its tokenizer under `folder`."""
    return write_tiny(folder, "bert", layers, dropout)


def words(rng, n: int, first: int = 0, last: int = 40) -> list[str]:
    """Return n texts of 1 to 12 words out of w{first} to w{last - 1}."""
    return [" ".join(f"w{i}" for i in rng.integers(first, last, rng.integers(1, 13))) for _ in range(n)]
