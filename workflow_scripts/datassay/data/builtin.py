"""The embedded data sets: real texts and real images that every installation can build without network.

A registered data set takes nothing and returns a table with the columns `text` (and `text_b`) or `image`, `label` and,
where it has them, `id`, `split` and `true_label`. `table.attrs["notes"]` goes into the data card.
"""

import importlib
import inspect
import logging
import pkgutil
import re
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from datassay.data.images import encode_png
from datassay.randomness import generator
from datassay.registry import dataset

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

AREAS = {
    "statistics": ("scipy.stats",),
    "signal": ("scipy.signal", "scipy.fft", "scipy.ndimage"),
    "linear algebra": ("scipy.linalg", "scipy.sparse", "numpy.linalg"),
    "machine learning": ("sklearn",),
    "tables": ("pandas",),
    "deep learning": ("torch.nn",),
}
LARGEST_CLASS = 500
_NOT_PUBLIC = re.compile(r"\.(_|tests?(\.|$)|conftest|externals|core(\.|$))")
_SIGNATURE = re.compile(r"^[\w.]+\(.*\)(\s*->.*)?$", re.DOTALL)


@dataset(
    version=1,
    source="first paragraphs of the docstrings of the installed numpy, scipy, pandas, scikit-learn and torch",
    modality="text",
)
def docstrings() -> "pd.DataFrame":
    """Docstrings of scientific Python packages; the label is the subject area.

    Every public function and class of AREAS gives the first paragraph of its docstring; texts are unique, a class has
    at most 500 of them (a seeded choice), in order of label and name. Depends on nothing but the installed versions.
    """
    import pandas as pd

    texts: dict[str, tuple[str, str]] = {}
    for label, packages in AREAS.items():
        found = {name: text for package in packages for name, text in _paragraphs(package)}
        logger.info("docstrings: %d functions and classes about %s", len(found), label)
        for name in sorted(found, key=lambda name: (name.count("."), name)):
            texts.setdefault(found[name], (label, name))
    table = pd.DataFrame(
        [(name, text, label) for text, (label, name) in texts.items()], columns=["id", "text", "label"]
    )
    kept = [_capped(group, label) for label, group in table.sort_values(["label", "id"]).groupby("label")]
    table = pd.concat(kept, ignore_index=True)
    table.attrs["notes"] = [
        "Built from the installed packages: other versions give other texts, sha256 tells them apart.",
        "The style of a package leaks into the labels: each subject area is written by few hands.",
    ]
    return table


@dataset(
    version=1, source="UCI optical recognition of handwritten digits, test part, as in scikit-learn", modality="image"
)
def digits() -> "pd.DataFrame":
    """Handwritten digits: 1,797 scans of 8 x 8 pixels with 17 grey levels, kept as PNG (level times 15)."""
    import pandas as pd
    from sklearn.datasets import load_digits

    scans = load_digits()
    pixels = (scans.images * 15).astype(np.uint8)
    return pd.DataFrame(
        {
            "id": [f"digit-{row:04d}" for row in range(len(pixels))],
            "image": [encode_png(image) for image in pixels],
            "label": [str(label) for label in scans.target],
        }
    )


def _capped(group: "pd.DataFrame", label: object) -> "pd.DataFrame":
    if len(group) <= LARGEST_CLASS:
        return group
    chosen = generator(0, "docstrings", label).choice(len(group), LARGEST_CLASS, replace=False)
    return group.iloc[np.sort(chosen)]


def _paragraphs(package: str) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, first paragraph) of every public function and class of a package."""
    top = package.partition(".")[0]
    others = tuple(other for packages in AREAS.values() if package not in packages for other in packages)
    for module in _public_modules(package):
        for name, member in sorted(vars(module).items()):
            if name.startswith("_") or not (inspect.isclass(member) or inspect.isroutine(member)):
                continue
            home = getattr(member, "__module__", None) or ""
            if home.partition(".")[0] != top or home.startswith(others):
                continue
            text = _first_paragraph(inspect.getdoc(member) or "")
            if text:
                yield f"{module.__name__}.{name}", text


def _public_modules(package: str) -> Iterator[ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = importlib.import_module(package)
        yield root
        for found in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=lambda _: None):
            if _NOT_PUBLIC.search(found.name):
                continue
            try:
                yield importlib.import_module(found.name)
            except ImportError as error:
                logger.info("docstrings: %s left out, it needs a package that is not installed (%s)", found.name, error)


def _first_paragraph(docstring: str) -> str:
    """Return the first paragraph that is prose, on one line; a call signature on top is no prose."""
    for paragraph in docstring.split("\n\n"):
        text = " ".join(paragraph.split())
        if text and not _SIGNATURE.match(text):
            return text
    return ""
