"""Which jobs a ranking of sources needs, and what each of them reads."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datassay.artefacts import path
from datassay.config import Config, Finetune, one
from datassay.errors import DatassayError, did_you_mean
from datassay.transfer.baselines import OF_MODELS
from datassay.transfer.filters import check_filter
from datassay.transfer.registry import CONFIG, INDEX, esm_folders

TASK = "task_embedding"  # the baseline that needs a file of its own per data set
BASE = "none"  # the source of a real transfer that starts from the base model itself
HUB_NAMES = {"builtin:minilm": "sentence-transformers/all-MiniLM-L6-v2"}


def source_names(config: Config) -> list[str]:
    """Return the data sets that ESMs are made of."""
    if config.transfer.sources is not None:
        return config.transfer.sources
    if not config.transfer.targets:
        return []
    usable = [d for d in config.datasets if d.modality == "text" and d.task != "multiple_choice"]
    return [d.name for d in usable if d.name not in config.transfer.targets]


def sources_for(config: Config, target: str) -> list[str]:
    """Return the sources that are ranked for a target: all but itself."""
    return [name for name in source_names(config) if name != target]


def source_model(config: Config) -> Finetune:
    """Return the model that sources are fine-tuned with."""
    named = config.transfer.model
    return next(m for m in config.models if isinstance(m, Finetune) and (named is None or m.name == named))


def base_name(config: Config) -> str:
    """Return the name that ESMs know the base model by."""
    backbone = source_model(config).backbone
    local = Path(backbone).name if Path(backbone).is_dir() else backbone
    return config.transfer.base_name or HUB_NAMES.get(backbone, local)


def of_sources(config: Config, name: str, sources: list[str] | None = None) -> list[str]:
    """Return a file or folder of every source (by default of all)."""
    sources = source_names(config) if sources is None else sources
    return [path(name, model=source_model(config).name, source=source) for source in sources]


def registry_files(config: Config) -> list[str]:
    """Return the configs of all further ESMs."""
    return [f"{folder}/{CONFIG}" for root in config.transfer.registries for folder in esm_folders(root)]


def about_source(config: Config, name: str) -> dict[str, Any]:
    """Return what an ESM's config says of its source."""
    dataset = one(config.datasets, name)
    columns = dataset.columns
    return {
        "base_model_name": base_name(config),
        "task_id": str(dataset.path) if dataset.source == "hub" else name,
        "task_subset": dataset.subset,
        "text_column": ",".join(filter(None, (columns.text or "text", columns.text_b))),
        "label_column": columns.label,
        "task_split": "train",
    }


def build_params(config: Config, name: str) -> dict[str, Any]:
    """Return how the ESM of a source is made."""
    settings = config.transfer
    return {
        **settings.sampling(),
        "source_rows": settings.source_rows,
        "tuned": settings.tuned_folder(name),
        "esm": settings.esm.params(),
    }


def build_inputs(config: Config, name: str) -> dict[str, Any]:
    """Return what the ESM of a source is made from."""
    return {
        "examples": path("examples", dataset=name),
        "card": path("card", dataset=name),
        "tuned": config.transfer.tuned_folder(name) or [],
    }


def target_params(config: Config) -> dict[str, Any]:
    """Return how the rows of a target are chosen and embedded."""
    return {**config.transfer.sampling(), "target_rows": config.transfer.target_rows}


def baseline_params(config: Config) -> dict[str, Any]:
    """Return how baselines are computed."""
    return {**target_params(config), "methods": config.transfer.baselines}


def transfer_params(config: Config) -> dict[str, Any]:
    """Return how a real transfer is made."""
    settings = config.transfer
    return {"seed": settings.seed, "target_rows": settings.target_rows, **settings.ground_truth.params("enabled")}


def transfer_inputs(config: Config, target: str, source: str) -> dict[str, Any]:
    """Return what a real transfer is made from; no model where it starts from the base model."""
    return {
        "examples": path("examples", dataset=target),
        "card": path("card", dataset=target),
        "model": [] if source == BASE else of_sources(config, "source_model", [source])[0],
    }


def baseline_inputs(config: Config, target: str) -> dict[str, Any]:
    """Return what the baselines of a target are computed from; lists in the order of its sources."""
    sources = sources_for(config, target)
    inputs: dict[str, Any] = {
        "examples": path("examples", dataset=target),
        "card": path("card", dataset=target),
        "embeddings": path("target_embeddings", target=target),
        "esms": of_sources(config, "esm", sources),
        "cards": [path("card", dataset=name) for name in sources],
    }
    if set(OF_MODELS) & set(config.transfer.baselines):
        inputs["models"] = of_sources(config, "source_model", sources)
    if TASK in config.transfer.baselines:
        inputs["tasks"] = of_sources(config, "task_embedding", sources)
        inputs["own_task"], inputs["own_times"] = (
            of_sources(config, name, [target])[0] for name in ("task_embedding", "task_times")
        )
    return inputs


def task_inputs(config: Config, name: str) -> dict[str, Any]:
    """Return what the task embedding of a data set is made from; no model where it is no source."""
    return {
        "examples": path("examples", dataset=name),
        "card": path("card", dataset=name),
        "model": of_sources(config, "source_model", [name])[0] if name in source_names(config) else [],
    }


def task_params(config: Config) -> dict[str, Any]:
    """Return how task embeddings are made."""
    settings = config.transfer
    return {"seed": settings.seed, "target_rows": settings.target_rows, "fisher_rows": settings.fisher_rows}


def evaluation_inputs(config: Config) -> dict[str, Any]:
    """Return rankings, baselines and real transfers of all targets, and what they cost."""
    targets = config.transfer.targets
    compared = targets if config.transfer.baselines else []
    return {
        "index": path("esm_index"),
        "rankings": [path("transfer_ranking", target=name) for name in targets],
        "baselines": [path("baselines", target=name) for name in compared],
        "embedding_times": [path("target_times", target=name) for name in targets],
        "ranking_times": [path("ranking_times", target=name) for name in targets],
        "baseline_times": [path("baseline_times", target=name) for name in compared],
        "transfers": [
            path("ground_truth", target=name, source=source)
            for name in targets
            for source in [BASE, *sources_for(config, name)]
        ],
    }


def evaluation_params(config: Config) -> dict[str, Any]:
    """Return what says which file is what when rankings are compared."""
    targets = config.transfer.targets
    return {
        "base": BASE,
        "esms": dict(zip(of_sources(config, "esm"), source_names(config), strict=True)),
        "regressions": [name for name in targets if one(config.datasets, name).task == "regression"],
    }


def ranking_params(config: Config, target: str) -> dict[str, Any]:
    """Return which ESMs are ranked for a target, and how."""
    settings = config.transfer
    own = of_sources(config, "esm", [target])[0] if target in source_names(config) else None
    return {
        "base_name": base_name(config),
        "filter": settings.filter,
        "own": own,
        "task": one(config.datasets, target).task,
        "seed": settings.seed,
        "bootstrap": settings.bootstrap.params(),
        "duplicates": settings.duplicates,
    }


def files(config: Config) -> list[str]:
    """Return everything that the transfer block asks for."""
    settings = config.transfer
    names = ("transfer_ranking", "transfer_csv", "transfer_markdown", "transfer_figure")
    wanted = [path(name, target=target) for target in settings.targets for name in names]
    wanted += of_sources(config, "esm")
    if settings.baselines:
        wanted += [path("baselines", target=target) for target in settings.targets]
    if settings.ground_truth.enabled and settings.targets:
        kinds = ("transfer_table", "transfer_table_csv", "transfer_table_markdown", "transfer_table_figure")
        wanted += [path(name) for name in kinds]
    return wanted


def transfer_faults(config: Config) -> Iterable[tuple[str, str]]:
    """Yield (key, fault) for names that do not exist and parts that do not go together."""
    settings = config.transfer
    if not settings.targets and not settings.sources:
        return
    names = [dataset.name for dataset in config.datasets]
    tuned = [block.source for block in settings.tuned]
    for key, given in (("targets", settings.targets), ("sources", settings.sources or []), ("tuned", tuned)):
        yield from ((f"transfer.{key}", text) for text in _name_faults(config, names, given))
    if len(set(settings.baselines)) < len(settings.baselines):
        yield "transfer.baselines", "a method is named twice"
    finetuned = [model.name for model in config.models if isinstance(model, Finetune)]
    if settings.model is not None and settings.model not in finetuned:
        hint = did_you_mean(settings.model, finetuned)
        yield "transfer.model", f"no model '{settings.model}' of recipe finetune{hint}"
    elif not finetuned:
        yield "transfer.model", "sources are fine-tuned, but no model of the config has recipe finetune"
    places = {"tuned": [block.folder for block in settings.tuned], "registries": settings.registries}
    for key, folders in places.items():
        yield from ((f"transfer.{key}", f"no folder '{folder}'") for folder in folders if not Path(folder).is_dir())
    if settings.targets and not source_names(config) and not settings.registries:
        yield "transfer.sources", "there is nothing to rank: no other text data set, and no registry"
    if settings.filter is not None:
        yield from _filter_faults(settings.filter)


def _name_faults(config: Config, names: list[str], given: list[str]) -> Iterable[str]:
    yield from (f"{name!r} is named twice" for name in sorted(set(given)) if given.count(name) > 1)
    for name in given:
        if name not in names:
            yield f"no data set '{name}'{did_you_mean(name, names)}"
        elif (dataset := one(config.datasets, name)).modality != "text" or dataset.task == "multiple_choice":
            yield f"'{name}' is no text classification or regression, which ESMs are for"
        elif name == BASE:
            yield f"'{BASE}' stands for the base model, give the data set another name"


def _filter_faults(expression: str) -> Iterable[tuple[str, str]]:
    try:
        check_filter(expression, list(INDEX))
    except DatassayError as error:
        yield "transfer.filter", str(error)
