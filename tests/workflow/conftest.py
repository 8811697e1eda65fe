"""One small real run that the workflow tests share, and a way to run snakemake on it."""

import csv
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
SUBJECTS = {
    "text": ["textwrap", "string", "re", "json", "csv", "html", "unicodedata", "codecs", "difflib"],
    "files": ["os", "os.path", "shutil", "pathlib", "tempfile", "zipfile", "tarfile", "glob", "fileinput", "stat"],
    "numbers": ["math", "cmath", "statistics", "random", "decimal", "fractions", "numbers", "heapq", "bisect"],
}


class Project:
    """A folder with a config.yaml on which the checkout's Snakefile is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def configure(self, name: str, **replace: str) -> None:
        """Take a config of tests/configs, with texts in it replaced."""
        text = (ROOT / "tests" / "configs" / f"{name}.yaml").read_text()
        for old, new in replace.items():
            assert old in text, f"{old} is not in {name}.yaml"
            text = text.replace(old, new)
        (self.folder / "config.yaml").write_text(text)

    def snakemake(
        self, *arguments: str, timeout: int = 600, under: tuple[str, ...] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run snakemake in the folder, `under` another command; screen output comes back in stdout."""
        command = [*under, sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
        command += ["--workflow-profile", str(ROOT / "profiles" / "default"), *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule would run, target rules left out."""
        done = self.snakemake("-n", *arguments, timeout=120)
        assert done.returncode == 0, done.stdout
        table = done.stdout.partition("Job stats:")[2]
        counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}
        targets = {
            "all",
            "total",
            "data",
            "embedding",
            "training",
            "meta_information",
            "map",
            "valuation",
            "pruning",
            "archaeology",
            "annotate",
            "active_learning",
            "report",
            "transfer",
        }
        return {name: count for name, count in counts.items() if name not in targets}

    def files(self) -> dict[str, bytes]:
        """Return the content of every result that a table or array holds."""
        kinds = (".parquet", ".npy", ".npz", ".csv", ".json", ".safetensors", ".txt")
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted((self.folder / "results").rglob("*"))
            if path.suffix in kinds and "logs" not in path.parts
        }


def docstrings_csv(path: Path) -> None:
    """Write the first sentences of the standard library's documentation, labelled by subject."""
    rows = {}
    for subject, modules in SUBJECTS.items():
        for module in map(importlib.import_module, modules):
            for name, thing in sorted(vars(module).items()):
                if not name.startswith("_") and callable(thing):
                    text = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
                    if 20 < len(text) < 200:
                        rows.setdefault(text, (f"{module.__name__}.{name}", subject))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "sentence", "subject"])
        writer.writerows((name, text, subject) for text, (name, subject) in rows.items())


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """A project on which everything was run once: texts fine-tuned, images by a small network.

    The first process of the tests that asks runs it, the others wait and copy.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = shared if worker_id == "master" else shared.parent
    first, screen = Project(shared / "work flow é"), shared / "screen.txt"
    with FileLock(shared / "finished.lock"):
        if not screen.exists():
            first.folder.mkdir(exist_ok=True)
            docstrings_csv(first.folder / "sentences.csv")
            first.configure("small")
            done = first.snakemake()
            assert done.returncode == 0, done.stdout
            screen.write_text(done.stdout)
    project = Project(
        Path(shutil.copytree(first.folder, tmp_path_factory.mktemp("own é") / "work flow", symlinks=True))
    )
    project.screen = screen.read_text()
    return project


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished project that a test may change; time stamps and snakemake's records come along."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Project(folder)
