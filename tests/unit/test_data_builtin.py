"""The embedded data sets are what they say, every time."""

import inspect
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datassay.config import Dataset
from datassay.data import builtin, prepare
from datassay.registry import methods


def test_digits() -> None:
    from sklearn.datasets import load_digits

    examples, card = prepare(Dataset(name="digits", source="builtin:digits"))
    scans = load_digits()
    assert card["label_names"] == list("0123456789") and card["modality"] == "image" and card["n"] == 1797
    assert [card["label_names"][label] for label in examples["label"]] == [str(label) for label in scans.target]
    first = np.asarray(Image.open(io.BytesIO(examples["image"][7]["bytes"])))
    np.testing.assert_array_equal(first, scans.images[7] * 15)
    assert "true_label" not in examples and not examples["is_noisy"].any()


def test_docstrings_of_two_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.fft

    monkeypatch.setattr(builtin, "AREAS", {"signal": ("scipy.fft",), "algebra": ("numpy.linalg",)})
    table = builtin.docstrings()
    assert table["text"].is_unique and table["id"].is_unique
    assert table[["label", "id"]].apply(tuple, axis=1).is_monotonic_increasing
    texts = dict(zip(table["id"], table["text"], strict=True))
    for function in (np.linalg.qr, np.linalg.eigvalsh, scipy.fft.dct):
        name = function.__name__
        module = "scipy.fft" if name == "dct" else "numpy.linalg"
        assert texts[f"{module}.{name}"] == " ".join(inspect.getdoc(function).split("\n\n")[0].split())
    monkeypatch.setattr(builtin, "LARGEST_CLASS", 15)
    capped = builtin.docstrings()
    assert capped.groupby("label").size().to_dict() == {"algebra": 15, "signal": 15}
    assert set(capped["id"]) < set(table["id"]) and capped["id"].tolist()[:15] != table["id"].tolist()[:15]
    assert capped.equals(builtin.docstrings()) and len(capped.attrs["notes"]) == 2


@pytest.mark.parametrize(
    ("docstring", "paragraph"),
    [
        ("One line.", "One line."),
        ("Two\n  lines.\n\nMore.", "Two lines."),
        ("f(x, y=(1, 2))\n\nWhat it does.", "What it does."),
        ("f(x) -> int\n\nWhat it does.", "What it does."),
        ("", ""),
        ("f(x)", ""),
    ],
)
def test_first_paragraph(docstring: str, paragraph: str) -> None:
    assert builtin._first_paragraph(docstring) == paragraph


def test_known_to_the_registry() -> None:
    found = methods("dataset")
    assert found["docstrings"].modality == "text" and found["digits"].modality == "image"


def test_nothing_heavy_is_imported(root: Path) -> None:
    program = "import sys, json, datassay.data, datassay.data.builtin; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": str(root / "workflow_scripts")},
    )
    loaded = set(json.loads(result.stdout))
    assert not loaded & {"pandas", "pyarrow", "torch", "transformers", "datasets", "sklearn", "scipy", "PIL"}
