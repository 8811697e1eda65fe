"""Which runs follow from a config: every data set, model, strategy (ablations included) and seed triple."""

from collections.abc import Iterable
from typing import Any

from datassay.artefacts import path
from datassay.config import Config, Dataset, QueryStrategy, canonical, one
from datassay.errors import DatassayError, did_you_mean
from datassay.plan import array_paths, encoder_of, fits, method_version, models_of
from datassay.registry import method, methods

ARRAYS = {
    *("candidates", "probabilities", "features", "labelled_features", "mc_logits", "embeddings", "surprisal"),
    *("infoverse", "pseudo_labels", "n", "rng"),
}  # what a query hands to an acquisition function


def query_strategies(config: Config) -> list[QueryStrategy]:
    """Return the strategies to run: those of the config, then every value of every ablation under a name of its own."""
    found = list(config.active_learning.strategies)
    for ablation in config.active_learning.ablations:
        strategy = one(config.active_learning.strategies, ablation.strategy)
        for value in ablation.values:
            changed: dict[str, Any] = {"name": f"{strategy.name}-{ablation.setting}-{value}", ablation.setting: value}
            if ablation.setting == "anchors":
                changed["majority_anchors"] = None
            found.append(strategy.model_copy(update=changed))
    return found


def learning_datasets(config: Config) -> list[Dataset]:
    """Return the data sets on which active learning is run, [] where the config asks for none."""
    if not config.active_learning.strategies:
        return []
    names = config.active_learning.datasets
    if names is None:
        return [dataset for dataset in config.datasets if dataset.task == "classification"]
    return [one(config.datasets, name) for name in names]


def learning_pairs(config: Config) -> list[tuple[str, str]]:
    """Return every (data set, model) on which active learning is run: the models named, where they fit the data."""
    named = [one(config.models, name) for name in config.active_learning.models or []]
    found = []
    for dataset in learning_datasets(config):
        fitting = [model for model in named if fits(config, model, dataset)]
        found += [(dataset.name, model.name) for model in (fitting if named else models_of(config, dataset))]
    return found


def seed_name(seed: int | list[int]) -> str:
    """Return a seed as it stands in paths: 0, or 0-1-2 of a triple."""
    return str(seed) if isinstance(seed, int) else "-".join(map(str, seed))


def seed_triple(name: str) -> tuple[int, int, int]:
    """Return the seeds of data order, initialisation and initial set that a name in a path stands for."""
    numbers = [int(part) for part in name.split("-")]
    order, initialisation, initial = numbers if len(numbers) == 3 else numbers * 3
    return order, initialisation, initial


def run_files(config: Config, name: str, **place: str) -> list[str]:
    """Return one file of every strategy and seed of a (data set, model)."""
    return [path(name, **place, strategy=strategy, triple=seed) for strategy, seed in run_names(config)]


def run_names(config: Config) -> list[tuple[str, str]]:
    """Return (strategy, seed) of every run, in the order of `run_files`."""
    return [(s.name, seed_name(seed)) for s in query_strategies(config) for seed in config.active_learning.seeds]


def base_version(config: Config, name: str) -> str:
    """Return the version of a strategy's acquisition function."""
    return method_version("acquisition", one(query_strategies(config), name).base)


def strategy_params(config: Config, name: str) -> dict[str, Any]:
    """Return the block of a strategy with the options of its acquisition function, defaults included."""
    strategy = one(query_strategies(config), name)
    options = {**method("acquisition", strategy.base).options, **strategy.options}
    return strategy.params("name", "options") | {"options": canonical(options)}


def loop_params(config: Config) -> dict[str, Any]:
    """Return the settings of the loop that decide what a run computes."""
    return config.active_learning.params(
        "strategies", "ablations", "datasets", "models", "seeds", "budgets", "analysis", "alps", "search"
    )


def loop_inputs(config: Config, dataset: str, model: str, name: str) -> dict[str, Any]:
    """Return what a run reads: examples, card, vectors and, where its strategy needs them, index and other arrays."""
    strategy, settings = one(query_strategies(config), name), config.active_learning
    files: dict[str, Any] = {file: path(file, dataset=dataset) for file in ("examples", "card")}
    files["embeddings"] = array_paths(config, dataset, model, ["embeddings"])["embeddings"]
    if settings.search == "hnsw" and strategy.subpool in ("seals", "anchoral", "anchoral_sampling"):
        files["index"] = path("index", dataset=dataset, encoder=encoder_of(config, dataset, model))
    read = set(method("acquisition", strategy.base).inputs.values())
    if "surprisal" in read or settings.initial.method == "alps":
        files["surprisal"] = path("surprisal", dataset=dataset)
    text = one(config.datasets, dataset).modality == "text"
    if "infoverse" in read and text and config.meta_information.language_model:
        files["log_likelihood"] = path("text_likelihood", dataset=dataset)
    return files


def learning_faults(config: Config) -> Iterable[tuple[str, str]]:
    """Yield (key, fault) for what the block active_learning names and does not exist or does not fit."""
    settings, key = config.active_learning, "active_learning"
    known = methods("acquisition")
    named = [strategy.name for strategy in settings.strategies]
    for strategy in settings.strategies:
        place = f"{key}.strategies[{strategy.name}]"
        about = known.get(strategy.base)
        if about is None:
            yield f"{place}.base", f"unknown acquisition '{strategy.base}'{did_you_mean(strategy.base, known)}"
            continue
        for option in set(strategy.options) - set(about.options):
            yield f"{place}.options", f"unknown option '{option}'{did_you_mean(option, about.options)}"
        for name in sorted(set(about.inputs.values()) - ARRAYS):
            yield f"{place}.base", f"'{about.name}' reads '{name}', allowed: {', '.join(sorted(ARRAYS))}"
    for ablation in settings.ablations:
        if ablation.strategy not in named:
            yield f"{key}.ablations", f"no strategy '{ablation.strategy}'{did_you_mean(ablation.strategy, named)}"
            return
    runs = {
        "strategies": [strategy.name for strategy in query_strategies(config)],
        "seeds": [seed_name(seed) for seed in settings.seeds],
    }
    for part, all_names in runs.items():
        twice = sorted({name for name in all_names if all_names.count(name) > 1})
        yield from ((f"{key}.{part}", f"'{name}' is named twice") for name in twice)
    misplaced = list(_place_faults(config))
    yield from misplaced
    if misplaced:
        return
    bases = [known[strategy.base] for strategy in settings.strategies if strategy.base in known]
    if settings.initial.method == "alps" or any("surprisal" in about.inputs.values() for about in bases):
        if settings.alps is None:
            yield f"{key}.alps", "is missing: strategy or initial method 'alps' goes by a masked language model"
        images = [dataset.name for dataset in config.datasets if dataset.modality == "image"]
        for name in [name for name, _ in learning_pairs(config) if name in images]:
            yield f"{key}.datasets", f"'{name}' holds images, 'alps' reads texts: name the data sets"


def _place_faults(config: Config) -> Iterable[tuple[str, str]]:
    settings, key = config.active_learning, "active_learning"
    datasets = {dataset.name: dataset for dataset in config.datasets}
    models = {model.name: model for model in config.models}
    for name in settings.datasets or []:
        if name not in datasets:
            yield f"{key}.datasets", f"no data set '{name}'{did_you_mean(name, datasets)}"
        elif datasets[name].task != "classification":
            yield f"{key}.datasets", f"'{name}' is a {datasets[name].task}, active learning needs classes"
    for name in settings.models or []:
        if name not in models:
            yield f"{key}.models", f"no model '{name}'{did_you_mean(name, models)}"
            return
    if not all(name in datasets for name in settings.datasets or []):
        return
    served = {name for name, _ in learning_pairs(config)}
    for dataset in learning_datasets(config):
        if dataset.name not in served and settings.models is not None and settings.datasets is not None:
            yield f"{key}.models", f"none of them takes the {dataset.modality}s of '{dataset.name}'"


def minority_names(dataset: Dataset) -> list[str]:
    """Return the minority classes that the config names, [] where the rarest of the train split is to be taken."""
    return list(dataset.imbalance.minority) if dataset.imbalance else []


def minority_numbers(names: list[str], label_names: list[str], counts: list[int]) -> list[int]:
    """Return the class numbers of the minority: those named, else the rarest class by its train rows.

    Raises DatassayError for a name that the data set does not have.
    """
    for name in names:
        if name not in label_names:
            raise DatassayError(f"imbalance.minority: no class '{name}'{did_you_mean(name, label_names)}")
    return [label_names.index(name) for name in names] or [min(range(len(counts)), key=lambda c: counts[c])]
