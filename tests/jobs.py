"""Single jobs of the workflow without snakemake: the real scripts, each in a process forked from one that has everything
loaded, so that a job takes as long as its work and can be killed a thousand times.

That one has loaded everything and run nothing: a fork of a process whose libraries have started threads, as that of the
tests has, waits for these threads for ever.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import shutil
import sys
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from tests.unit.tiny_bert import write_tiny_bert
from tests.workflow.conftest import ROOT, docstrings_csv

SERVER = multiprocessing.get_context("forkserver")
LOADED = ("tests.jobs", "torch", "pandas", "pyarrow.parquet", "numba", "sklearn.decomposition", "scipy.stats", "accelerate",
          "hnswlib", "transformers", "sentence_transformers", "safetensors.torch", "safetensors.numpy", "PIL.Image",
          "snakemake.iocontainers", "datassay.step", "datassay.training._record", "datassay.encoders._text",
          "datassay.neighbors.exact", "datassay.valuation.sampling", "datassay.measures", "datassay.stages")  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What snakemake would hand to a script, which lies in workflow_scripts/{script}.py."""

    name: str
    script: str
    input: dict[str, Any]
    output: dict[str, str]
    params: dict[str, Any]
    wildcards: dict[str, str]
    resources: dict[str, int] = field(default_factory=lambda: {"gpu": 0})

    def start(self, folder: Path, **environment: str) -> BaseProcess:
        """Start the job in a folder that holds its inputs; what it prints goes to job.out there."""
        process = SERVER.Process(target=_work, args=(self, folder.absolute(), environment))
        process.start()
        return process

    def run(self, folder: Path, **environment: str) -> int:
        """Run the job to its end; return the exit code, negative for a signal."""
        return wait(self.start(folder, **environment))

    def results(self, folder: Path) -> dict[str, bytes]:
        """Return the content of every declared output that exists, file by file."""
        found = {}
        for name in self.output.values():
            path = folder / name
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    found[str(file.relative_to(folder))] = file.read_bytes()
        return found

    def discard(self, folder: Path) -> None:
        """Remove the declared outputs, as snakemake does after a failed job."""
        for name in self.output.values():
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def as_snakemake(self) -> SimpleNamespace:
        """Return what the script finds under the name of snakemake."""
        from snakemake.iocontainers import Namedlist

        lists = {name: Namedlist(fromdict=getattr(self, name)) for name in ("input", "output", "params", "wildcards")}
        resources = Namedlist(fromdict=self.resources)
        return SimpleNamespace(**lists, resources=resources, threads=1, log=[], rule=self.script, config={})


def _work(job: Job, folder: Path, environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ |= environment
    sys.stdout = sys.stderr = open("job.out", "a", buffering=1)  # noqa: SIM115
    os.dup2(sys.stdout.fileno(), 1)
    os.dup2(sys.stdout.fileno(), 2)
    script = ROOT / "workflow_scripts" / f"{job.script}.py"
    runpy.run_path(str(script), init_globals={"snakemake": job.as_snakemake()})


def wait(process: BaseProcess) -> int:
    """Wait for a process; return its exit code, negative for a signal."""
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def load_everything() -> None:
    """Start the process that the jobs are forked from, with one thread each and all loaded that they need."""
    environment = {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "workflow_scripts"), str(ROOT)]),
    }
    with patch.dict(os.environ, environment):
        SERVER.set_forkserver_preload(list(LOADED))
        multiprocessing.forkserver.ensure_running()


def prepare(folder: Path) -> list[Job]:
    """Fill a folder with the inputs of all jobs; return the jobs."""
    import yaml

    from datassay.validation import validate

    folder.mkdir(parents=True, exist_ok=True)
    docstrings_csv(folder / "sentences.csv")
    language_model(folder / "language")
    before = Path.cwd()
    os.chdir(folder)
    try:
        config = validate(yaml.safe_load((ROOT / "tests" / "configs" / "soak.yaml").read_text()))
    finally:
        os.chdir(before)
    first, later = _first_jobs(config), _jobs(config)
    for job in first:
        if code := job.run(folder):
            raise AssertionError(f"{job.name}: exit code {code}\n{(folder / 'job.out').read_text()}")
    return later


def language_model(folder: Path) -> None:
    """Write a tiny BERT with a head for masked tokens."""
    import torch
    from transformers import AutoConfig, BertForMaskedLM

    write_tiny_bert(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForMaskedLM(AutoConfig.from_pretrained(folder)).save_pretrained(folder)


def _first_jobs(config: Any) -> list[Job]:
    from datassay.artefacts import path
    from datassay.config import one

    jobs = []
    for dataset in config.datasets:
        place = {"dataset": dataset.name}
        output = {"examples": path("examples", **place), "card": path("card", **place)}
        jobs.append(
            Job(f"prepare {dataset.name}", "prepare_dataset", {}, output, {"settings": dataset.preparation()}, place)
        )
    jobs.append(_embed(one(config.encoders, "pixels"), "digits"))
    ranking = path("ranking", dataset="digits", model="cnn", strategy="random")
    params = {"by_column": None, "keep": 1.0, "seed": 0, "options": {}}
    place = {"dataset": "digits", "model": "cnn", "strategy": "random"}
    jobs.append(
        Job(
            "rank",
            "rank_examples",
            {"examples": path("examples", dataset="digits"), "labels": path("examples", dataset="digits")},
            {"ranking": ranking},
            params,
            place,
        )
    )
    return jobs


def _embed(encoder: Any, dataset: str) -> Job:
    from datassay.artefacts import path

    place = {"dataset": dataset, "encoder": encoder.name}
    source, vectors = path("examples", dataset=dataset), path("embeddings", **place)
    return Job(
        f"embed {encoder.name}",
        "embed",
        {"examples": source},
        {"vectors": vectors},
        {"settings": encoder.encoding()},
        place,
    )


def _train(model: Any, dataset: str) -> Job:
    from datassay.artefacts import path

    place = {"dataset": dataset, "model": model.name, "seed": "0"}
    source = {name: path(name, dataset=dataset) for name in ("examples", "card")}
    names = ("logits", "features", "feature_norms", "mc_logits", "metrics")
    output = {name: path(name, **place) for name in names} | {"model": path("trained_model", **place)}
    return Job(f"train {model.name}", "train", source, output, {"settings": model.recipe_params()}, place)


def _jobs(config: Any) -> list[Job]:
    from datassay import value_plan
    from datassay.artefacts import path
    from datassay.config import one

    digits = {"dataset": "digits"}
    source = {name: path(name, **digits) for name in ("examples", "card")}
    vectors = path("embeddings", **digits, encoder="pixels")
    cell = digits | {"model": "cnn", "strategy": "random", "ratio": "0.5"}
    retrain = {"ranking": path("ranking", **cell), **source, "vectors": vectors}
    settings = {"settings": one(config.models, "head").recipe_params(), "seeds": config.seeds}
    values = digits | {"model": "cnn", "estimator": "tmc_shapley"}
    work = {"how": value_plan.game_params(config, **values), "work": value_plan.shard_params(config)}
    work["max_rows"] = config.valuation.sampling.max_rows
    texts = {"examples": path("examples", dataset="sentences")}
    index = {"index": path("index", **digits, encoder="pixels"), "card": path("index_card", **digits, encoder="pixels")}
    indexing = {"settings": one(config.encoders, "pixels").index.params("recall_at"), "k": 5}
    return [
        _train(one(config.models, "cnn"), "digits"),
        _train(one(config.models, "tuned"), "sentences"),
        _embed(one(config.encoders, "texts"), "sentences"),
        Job("retrain", "retrain", retrain, {"results": path("retrained", **cell)}, settings, cell),
        Job("values", "value_shard", {"examples": source["examples"], "embeddings": vectors, "status": []},
            {"sums": path("value_shard", **values, shard=0)}, work, values | {"shard": "0"}),
        Job("likelihood", "score_likelihood", texts, {"log_likelihood": path("text_likelihood", dataset="sentences")},
            {"settings": config.meta_information.language_model.scoring(), "split": "train"}, {"dataset": "sentences"}),
        Job("index", "build_index", {"vectors": vectors}, index, indexing, digits | {"encoder": "pixels"}),
    ]  # fmt: skip
