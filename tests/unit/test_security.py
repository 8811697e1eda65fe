"""What data, models and answers from elsewhere must not be able to do."""

import ast
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.config import Encoder, LanguageModel
from datassay.errors import DatassayError
from tests.unit.tiny_bert import write_tiny_bert

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "workflow_scripts").rglob("*.py"))
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "pd.read_pickle",
    "pd.read_hdf",
    "yaml.unsafe_load",
    "yaml.full_load",
}
NEEDED = {  # call -> the argument that makes it safe, and what it must be
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "np.save": ("allow_pickle", False),
    "np.savez": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
}
ONLY_IN = {"to_csv": "storage.py", "read_pickle": None, "extractall": None, "unpack_archive": None}


def unsafe(source, name="module.py"):
    """Return the calls and imports of a source that could run what a file says, as "line: what"."""
    found = []
    for node in ast.walk(ast.parse(source)):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [f"{node.lineno}: {module}" for module in modules if module.split(".")[0] in UNSAFE_MODULES]
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        given = {word.arg: word.value for word in node.keywords}
        values = {key: value.value for key, value in given.items() if isinstance(value, ast.Constant)}
        argument, needed = NEEDED.get(call, (None, None))
        last = call.split(".")[-1]
        loads_a_model = last == "from_pretrained" and call.split(".")[0].startswith(("Auto", "kind"))
        wrong = call in UNSAFE_CALLS or bool(argument and values.get(argument) is not needed)
        wrong |= values.get("shell") is True or values.get("trust_remote_code") is True
        wrong |= call == "yaml.load" or (last in ONLY_IN and name != ONLY_IN[last])
        wrong |= (loads_a_model or last == "SentenceTransformer") and "OWN_CODE_ONLY" not in ast.unparse(node)
        found += [f"{node.lineno}: {call}"] if wrong else []
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_can_run_what_a_file_says(path):
    assert unsafe(path.read_text(encoding="utf-8"), path.name) == []


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from joblib import load", "np.load(path)", "np.load(path, allow_pickle=True)", "torch.load(path)",
     "torch.load(path, weights_only=False)", "pd.read_pickle(path)", "yaml.load(text)", "eval(text)",
     "subprocess.run(command, shell=True)", "archive.extractall(folder)", "table.to_csv(path)",
     "AutoModel.from_pretrained(name)", "SentenceTransformer(name, trust_remote_code=True)"],
)  # fmt: skip
def test_the_scan_sees(line):
    assert len(unsafe(line)) == 1


@pytest.fixture
def bearer(tmp_path):
    """A model folder whose config asks for code of its own, which leaves a mark when it runs."""
    folder = tmp_path / "model"
    write_tiny_bert(folder)
    mark = tmp_path / "ran"
    (folder / "evil.py").write_text(
        f"open({str(mark)!r}, 'w').write('x')\n"
        "from transformers import BertConfig, BertModel, BertForMaskedLM\n"
        "class Evil(BertConfig): model_type = 'evil'\n"
        "class EvilModel(BertModel): config_class = Evil\n"
    )
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil", "AutoModel": "evil.EvilModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder, mark


def load_as_encoder(folder):
    from datassay.encoders._text import text_encoder

    settings = Encoder(name="e", kind="sentence_transformer", model=str(folder))
    return text_encoder(pd.DataFrame({"text": ["w1 w2"]}), settings)(np.arange(1))


def load_as_language_model(folder):
    from datassay.measures._language import Language

    return Language(LanguageModel(model=str(folder)))


def load_as_backbone(folder):
    from datassay.config import Finetune
    from datassay.training._finetune import finetune
    from datassay.training._objective import make_objective

    labels = np.array([0, 1])
    objective = make_objective("classification", labels, ["a", "b"], 0, np.arange(2))
    settings = Finetune(name="m", recipe="finetune", backbone=str(folder))
    return finetune(pd.DataFrame({"text": ["w1", "w2"]}), objective, settings)


@pytest.mark.parametrize("load", [load_as_encoder, load_as_language_model, load_as_backbone])
def test_code_that_comes_with_a_model_never_runs(bearer, load, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run the code"))
    folder, mark = bearer
    with pytest.raises(DatassayError, match=r"model '.*' cannot be loaded") as raised:
        load(folder)
    assert "\n" not in str(raised.value)
    assert not mark.exists()


def test_modules_of_a_sentence_transformer_are_its_own(tmp_path):
    """modules.json names the classes to build: none from anywhere else."""
    folder, mark = tmp_path / "model", tmp_path / "ran"
    write_tiny_bert(folder)
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').write('x')\nclass Layer: pass\n")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Layer"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "config_sentence_transformers.json").write_text("{}")
    with pytest.raises(DatassayError, match="cannot be loaded"):
        load_as_encoder(folder)
    assert not mark.exists()


def test_pickled_weights_are_read_as_weights_only(tmp_path):
    """A pytorch_model.bin is a pickle: transformers may read tensors from it, and nothing else."""
    import pickle

    folder, mark = tmp_path / "model", tmp_path / "ran"
    write_tiny_bert(folder)
    for weights in folder.glob("*.safetensors"):
        weights.unlink()

    class Evil:
        def __reduce__(self):
            return (Path.touch, (mark,))

    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"weight": Evil()}, file)
    with pytest.raises(Exception, match=r".+"):
        load_as_language_model(folder)
    assert not mark.exists()


@pytest.mark.parametrize("outside", ["../secret.png", "/etc/hostname", "sub/../../secret.png", "link.png"])
def test_paths_from_data_cannot_leave_their_folder(tmp_path, outside):
    from datassay.data.images import encode_png, to_encoded

    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(encode_png(np.zeros((2, 2), np.uint8)))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DatassayError, match="leaves the folder"):
        to_encoded(outside, folder)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "x\n", "a\0b"])
def test_names_of_the_config_stay_within_their_folder(name):
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        Encoder(name=name, kind="pixels")
