"""Which files follow from a config: what each data set is run with, and what each method needs as input."""

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from datassay.artefacts import path
from datassay.config import Config, Dataset, Encoder, Model, canonical, one
from datassay.config.archaeology import STRANGE
from datassay.errors import DatassayError, did_you_mean
from datassay.registry import UNSUITED, Kind, Method, method, methods
from datassay.selection.pruning import ratio_text
from datassay.selection.scores import column_strategy
from datassay.versions import version

REFERENCE_STRATEGY = "full"
ARCHAEOLOGY = "archaeology"  # the family of measures that needs probes
FROM_TRAJECTORIES = ("loss_trajectories", "right_trajectories", "probe_losses", "probe_labels", "probe_suites")
HANDED = ("rng", "n_select", "task")  # parameters that are no arrays: the stage that calls a method hands them in


def encoders_of(config: Config, dataset: Dataset) -> list[Encoder]:
    """Return the encoders of a data set, the main one first."""
    if dataset.encoders is not None:
        return [one(config.encoders, name) for name in dataset.encoders]
    return [encoder for encoder in config.encoders if encoder.modality == dataset.modality]


def main_encoder(config: Config, dataset: Dataset) -> Encoder | None:
    """Return the first encoder of a data set, None where there is none."""
    return next(iter(encoders_of(config, dataset)), None)


def fits(config: Config, model: Model, dataset: Dataset) -> bool:
    """Whether a model takes what a data set holds; one on vectors of a file only where the data set names them."""
    encoder = one(config.encoders, model.encoder) if model.encoder else None
    if encoder and encoder.kind == "vectors" and encoder.name not in (dataset.encoders or []):
        return False
    return (model.modality or (encoder.modality if encoder else None)) in (dataset.modality, None)


def models_of(config: Config, dataset: Dataset) -> list[Model]:
    """Return the models whose dynamics are recorded and measured on a data set, the main one first."""
    if dataset.models is not None:
        return [one(config.models, name) for name in dataset.models]
    return [m for m in config.models if m.assay and fits(config, m, dataset)]


def seeds_of(config: Config, dataset: Dataset) -> list[int]:
    """Return the training seeds of a data set; the first one's dynamics are measured."""
    return dataset.seeds if dataset.seeds is not None else config.seeds


def metric_of(config: Config, dataset_name: str) -> str:
    """Return the metric that tables and figures about a data set lead with."""
    dataset = one(config.datasets, dataset_name)
    return dataset.metric or ("pearson" if dataset.task == "regression" else "accuracy")


def encoder_of(config: Config, dataset_name: str, model_name: str) -> str:
    """Return the name of the encoder that goes with a model on a data set."""
    model = one(config.models, model_name)
    main = main_encoder(config, one(config.datasets, dataset_name))
    if model.encoder is None and main is None:
        raise DatassayError(f"models[{model_name}].encoder: no encoder of the config fits '{dataset_name}'")
    return model.encoder or main.name  # type: ignore[union-attr]


def retrain_model(config: Config, model_name: str) -> Model:
    """Return the model that is retrained on what a model's measures select."""
    model = one(config.models, model_name)
    return one(config.models, model.retrain or model.name)


def pairs(config: Config) -> Iterator[tuple[str, str]]:
    """Yield every (data set, model) that is measured."""
    for dataset in config.datasets:
        for model in models_of(config, dataset):
            yield dataset.name, model.name


def strategies(config: Config) -> list[str]:
    """Return the names of the strategies to compare, those by a column last; the full data is not among them."""
    named = [name for name in config.pruning.strategies if name != REFERENCE_STRATEGY]
    return named + [block.name for block in config.pruning.by_column]


def by_column(config: Config, name: str) -> dict[str, Any]:
    """Return column and keep of a strategy that the config defines by a column, {} for any other."""
    return next((block.params("name") for block in config.pruning.by_column if block.name == name), {})


def strategy_of(config: Config, name: str) -> Method:
    """Return a strategy: one that the config defines by a column, or a registered one."""
    about = by_column(config, name)
    return column_strategy(name, **about) if about else method("strategy", name)


def left_out(config: Config, dataset_name: str) -> dict[str, str]:
    """Return the strategies that do not go with the task of a data set, and why."""
    task = one(config.datasets, dataset_name).task
    known = methods("measure").values()
    suited = {name for about in known for name in about.columns_of(task)}
    unsuited = {column.name for about in known for column in about.columns} - suited
    unsuited |= {name for name, about in methods("estimator").items() if task not in about.tasks}
    reasons = {}
    for name in strategies(config):
        about = strategy_of(config, name)
        read = sorted(unsuited & set(about.inputs.values()))
        if task not in about.tasks:
            fit = ", ".join(about.tasks).replace("_", " ")
            reasons[name] = f"ranks for {fit} only, not for {task.replace('_', ' ')}"
        elif read:
            reasons[name] = f"reads {read[0]}: {UNSUITED[task]}"
    return reasons


def families_of(config: Config, dataset_name: str) -> list[str]:
    """Return the measure families that have a column for the task of a data set; archaeology where it has probes."""
    dataset = one(config.datasets, dataset_name)
    named = [name for name in config.meta_information.families if name != ARCHAEOLOGY]
    families = [name for name in named if method("measure", name).columns_of(dataset.task)]
    return families + [ARCHAEOLOGY] * (dataset.probes is not None)


def estimators_of(config: Config, dataset_name: str) -> list[str]:
    """Return the estimators that go with the task of a data set."""
    task = one(config.datasets, dataset_name).task
    return [name for name in config.valuation.estimators if task in method("estimator", name).tasks]


def unmeasured(config: Config, dataset_name: str) -> dict[str, str]:
    """Return the families and estimators that a data set has to do without because it has no classes, and why."""
    task = one(config.datasets, dataset_name).task
    if task == "classification":
        return {}
    done = {*families_of(config, dataset_name), *estimators_of(config, dataset_name)}
    usual = [name for name in config.meta_information.families if method("measure", name).columns_of("classification")]
    named = [*usual, *config.valuation.estimators]
    return {name: UNSUITED[task] for name in named if name not in done}


def cells(config: Config, dataset_name: str) -> list[tuple[str, str]]:
    """Return every (strategy, ratio) of a data set's pruning grid, the full data first; [] if nothing is pruned."""
    names = [name for name in strategies(config) if name not in left_out(config, dataset_name)]
    grid = [(name, ratio_text(ratio)) for name in names for ratio in config.pruning.ratios]
    return [(REFERENCE_STRATEGY, ratio_text(1)), *grid] if grid else []


def pruned_pairs(config: Config) -> list[tuple[str, str]]:
    """Return every (data set, model) on whose measures something is pruned."""
    return [(dataset, model) for dataset, model in pairs(config) if cells(config, dataset)]


def options_of(config: Config, kind: Kind, name: str) -> dict[str, Any]:
    """Return a method's options: its defaults, overridden by the config."""
    block = {
        "measure": config.meta_information.options,
        "estimator": config.valuation.options,
        "strategy": config.pruning.options,
    }[kind]
    about = strategy_of(config, name) if kind == "strategy" else method(kind, name)
    return canonical({**about.options, **block.get(name, {})})


def likelihood_file(config: Config, dataset: str, model: str) -> str | None:
    """Return what holds the likelihood of a data set's examples; None where no language model says it of texts."""
    if one(config.datasets, dataset).modality == "image":
        return path("feature_likelihood", dataset=dataset, model=model)
    return path("text_likelihood", dataset=dataset) if config.meta_information.language_model else None


def array_paths(config: Config, dataset: str, model: str, names: list[str]) -> dict[str, str | list[str]]:
    """Return the files that hold the named arrays of a (data set, model): what a measure or a strategy reads."""
    first, *_ = seeds = seeds_of(config, one(config.datasets, dataset))
    place = {"dataset": dataset, "model": model}
    encoder = {"dataset": dataset, "encoder": encoder_of(config, dataset, model)}
    files: dict[str, str | list[str]] = {
        "labels": path("examples", **place),
        "logits": path("logits", **place, seed=first),
        "ensemble_logits": [path("logits", **place, seed=seed) for seed in seeds],
        "ensemble_epoch_logits": [path("logits", **place, seed=seed) for seed in seeds],
        "feature_norms": path("feature_norms", **place, seed=first),
        "ensemble_feature_norms": [path("feature_norms", **place, seed=seed) for seed in seeds],
        "mc_logits": path("mc_logits", **place, seed=first),
        "features": path("features", **place, seed=first),
        "feature_neighbors": path("feature_neighbors", **place, seed=first),
        "feature_distances": path("feature_neighbors", **place, seed=first),
        "embeddings": path("embeddings", **encoder),
        "embedding_neighbors": path("embedding_neighbors", **encoder),
        "embedding_distances": path("embedding_neighbors", **encoder),
        "infoverse": path("infoverse", **place),
    }
    files |= dict.fromkeys(FROM_TRAJECTORIES, path("trajectories", **place))
    files |= {name: path("values", **place, estimator=name) for name in methods("estimator")}
    columns = {column.name: family for family, about in methods("measure").items() for column in about.columns}
    wanted: dict[str, str | list[str]] = {}
    for name in names:
        if name == "log_likelihood":
            wanted |= {name: file} if (file := likelihood_file(config, dataset, model)) else {}
        elif name in files:
            wanted[name] = files[name]
        elif name in columns:
            wanted[name] = path("family", **place, family=columns[name])
        else:
            raise DatassayError(f"no array, column or value '{name}'{did_you_mean(name, [*files, *columns])}")
    return wanted


def measured_files(config: Config, dataset: str, model: str) -> dict[str, list[str]]:
    """Return the files of all measure families and of all values of a (data set, model)."""
    place = {"dataset": dataset, "model": model}
    return {
        "families": [path("family", **place, family=family) for family in families_of(config, dataset)],
        "values": [path("values", **place, estimator=name) for name in estimators_of(config, dataset)],
    }


def map_files(config: Config, dataset: str, model: str) -> dict[str, str]:
    """Return space -> file of coordinates of a (data set, model); that of the encoder is shared by its models."""
    files = {space: path("map", dataset=dataset, model=model, space=space) for space in ("infoverse", "features")}
    files["embeddings"] = path("embedding_map", dataset=dataset, encoder=encoder_of(config, dataset, model))
    spaces = [space for space in config.map.spaces if space != "infoverse" or infoverse_families(config, dataset)]
    return {space: files[space] for space in spaces}


def report_params(config: Config, dataset_name: str) -> dict[str, Any]:
    """Return what the summary of a data set says beside its results."""
    return {
        "metric": metric_of(config, dataset_name),
        "main_model": models_of(config, one(config.datasets, dataset_name))[0].name,
        "left_out": unmeasured(config, dataset_name) | left_out(config, dataset_name),
    }


def explorer_inputs(config: Config, dataset: str) -> dict[str, Any]:
    """Return what the page of a data set is built from: its maps (see `explorer_spaces`), what its main model says."""
    names = ("examples", "card", "assay")
    main = models_of(config, one(config.datasets, dataset))[0].name
    logits = array_paths(config, dataset, main, ["logits"])
    maps = list(explorer_spaces(config, dataset).values())
    return {name: path(name, dataset=dataset) for name in names} | logits | {"maps": maps}


def explorer_spaces(config: Config, dataset: str) -> dict[str, str]:
    """Return name -> file of every map of a data set; those of models but the main one end in ".{model}"."""
    spaces: dict[str, str] = {}
    for place, model in enumerate(models_of(config, one(config.datasets, dataset))):
        for space, file in map_files(config, dataset, model.name).items():
            if file not in spaces.values():
                spaces[f"{space}.{model.name}" if place else space] = file
    return spaces


def infoverse_families(config: Config, dataset_name: str) -> list[str]:
    """Return the families of the config that hold infoVerse columns of a data set's task."""
    from datassay.measures.infoverse import POINT_COLUMNS

    task = one(config.datasets, dataset_name).task
    families = {name: method("measure", name).columns_of(task) for name in config.meta_information.families}
    return [name for name, columns in families.items() if set(columns) & set(POINT_COLUMNS)]


def method_version(kind: Kind, name: str) -> str:
    """Return a registered method's version."""
    return version_of(method(kind, name))


def version_of(about: Method) -> str:
    """Return a method's version; that of a user's own file holds a hash of the file, so that an edit re-runs it."""
    module = sys.modules[about.function.__module__]
    if module.__name__.startswith("datassay."):
        return str(about.version)
    return f"{about.version}-{hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()[:12]}"


def source_version(config: Config, dataset: str) -> str:
    """Return the version of what prepares a data set, its own builder's included."""
    source = one(config.datasets, dataset).source
    own = method_version("dataset", source.removeprefix("builtin:")) if source.startswith("builtin:") else "0"
    return f"{version('prepare_dataset')}.{own}"


def probed(config: Config) -> list[str]:
    """Return the data sets in which probes are planted."""
    return [dataset.name for dataset in config.datasets if dataset.probes is not None]


def probed_pairs(config: Config) -> list[tuple[str, str]]:
    """Return every (data set, model) whose trajectories are compared with those of probes."""
    return [(dataset, model) for dataset, model in pairs(config) if dataset in probed(config)]


def application_pairs(config: Config, application: str) -> list[tuple[str, str]]:
    """Return those of `probed_pairs` whose data set has what an application of archaeology reads."""
    wanted = []
    for dataset, model in probed_pairs(config):
        settings = one(config.datasets, dataset)
        suites = set(settings.probes.suites)
        suited = {
            "minority_groups": settings.columns.group is not None,
            "ood_detection": bool(suites & set(STRANGE)) and settings.probes.unseen != 0,
        }.get(application, "random_outputs" in suites and bool(suites & {"typical", "ordinary"}))
        wanted += [(dataset, model)] * suited
    return wanted


def planting_inputs(config: Config, dataset_name: str) -> dict[str, str]:
    """Return what probes are planted by: the prepared examples, and what says which of them are typical or foreign."""
    probes = one(config.datasets, dataset_name).probes
    inputs = {"examples": path("prepared", dataset=dataset_name), "card": path("prepared_card", dataset=dataset_name)}
    if probes.scores is not None:
        inputs["scores"] = probes.scores.path
    elif probes.estimates:
        inputs["consistency"] = path("consistency", dataset=dataset_name)
    return inputs | ({"foreign": probes.foreign} if probes.foreign else {})


def dataset_pattern(config: Config, way: Literal["plain", "probes", "annotated"]) -> str:
    """Return the wildcard that matches the data sets that are prepared in a way: plainly, with probes, with answers."""
    ways = {d.name: "probes" if d.probes is not None else "plain" for d in config.datasets}
    ways |= dict.fromkeys(config.annotation.datasets, "annotated")
    return "{dataset," + (names_pattern([d for d in config.datasets if ways[d.name] == way]) or "(?!)") + "}"


def names_pattern(blocks: list[Any]) -> str:
    """Return the regular expression that matches the names of some blocks and nothing else."""
    return "|".join(re.escape(block.name) for block in blocks)


def method_inputs(config: Config, about: Method, dataset: str, model: str) -> dict[str, str | list[str]]:
    """Return the files a registered method reads on a (data set, model), examples.parquet always among them."""
    names = [name for name in about.inputs.values() if name not in HANDED]
    return {"examples": path("examples", dataset=dataset), **array_paths(config, dataset, model, names)}
