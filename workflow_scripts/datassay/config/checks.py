"""Checks across blocks: names that do not exist, parts that do not fit each other, methods that are not registered.

Every check yields (key, fault); it costs nothing to be refused here and hours to fail later.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datassay.active_learning.cells import learning_faults
from datassay.annotation_plan import annotation_faults
from datassay.cleaning.cells import cleaned_cells, cleaning_faults
from datassay.config import Config, Dataset, Options
from datassay.errors import DatassayError, did_you_mean, shortened
from datassay.plan import (
    ARCHAEOLOGY,
    encoders_of,
    estimators_of,
    families_of,
    infoverse_families,
    left_out,
    main_encoder,
    models_of,
    seeds_of,
    strategies,
    strategy_of,
)
from datassay.registry import Kind, methods
from datassay.transfer_plan import transfer_faults

CHANGED = ("corrupted", "out_of_distribution", "random_inputs")  # suites whose content no file of vectors knows
RESERVED = ("logs", "benchmarks", "transfer")


def cross_checks(config: Config) -> Iterable[tuple[str, str]]:
    """Yield (key, fault) for names that do not exist, names used twice and methods that are not registered."""
    for key in ("datasets", "encoders", "models"):
        names = [block.name for block in getattr(config, key)]
        yield from ((key, f"the name '{n}' is used twice") for n in sorted({n for n in names if names.count(n) > 1}))
    encoders = {encoder.name: encoder.modality for encoder in config.encoders}
    models = {model.name: model for model in config.models}
    for encoder in config.encoders:
        if encoder.path is not None and not Path(encoder.path).is_file():
            yield f"encoders[{encoder.name}].path", f"no file '{encoder.path}'"
    for model in config.models:
        if model.encoder is not None and model.encoder not in encoders:
            yield (
                f"models[{model.name}].encoder",
                f"no encoder '{model.encoder}'{did_you_mean(model.encoder, encoders)}",
            )
        if model.recipe == "head" and model.encoder is None:
            yield f"models[{model.name}].encoder", f"a head needs an encoder, allowed: {', '.join(encoders)}"
        if model.retrain is not None and model.retrain not in models:
            yield f"models[{model.name}].retrain", f"no model '{model.retrain}'{did_you_mean(model.retrain, models)}"
    yield from _named_twice("seeds", config.seeds)
    for dataset in config.datasets:
        yield from _dataset_checks(dataset, config, encoders)
    yield from _ratio_checks(config.pruning.ratios)
    yield from _unknown_methods("meta_information.families", "measure", config.meta_information.families)
    yield from _unknown_methods("valuation.estimators", "estimator", config.valuation.estimators)
    yield from _unknown_methods("pruning.strategies", "strategy", config.pruning.strategies)
    yield from _column_checks(config)
    yield from _unknown_options("meta_information.options", "measure", config.meta_information.options)
    yield from _unknown_options("valuation.options", "estimator", config.valuation.options)
    yield from _utility_checks(config.valuation.options)
    yield from _unknown_options("pruning.options", "strategy", config.pruning.options)
    yield from cleaning_faults(config)
    yield from annotation_faults(config)
    yield from transfer_faults(config)
    yield from learning_faults(config)


def _dataset_checks(dataset: Dataset, config: Config, encoders: Mapping[str, str | None]) -> Iterable[tuple[str, str]]:
    key = f"datasets[{dataset.name}]"
    models = {model.name for model in config.models}
    if dataset.source.startswith("builtin:"):
        builtin = dataset.source.removeprefix("builtin:")
        if builtin not in methods("dataset"):
            yield f"{key}.source", f"unknown '{dataset.source}'{did_you_mean(builtin, methods('dataset'))}"
            return
    unknown_encoders = [name for name in dataset.encoders or [] if name not in encoders]
    unknown_models = [name for name in dataset.models or [] if name not in models]
    yield from ((f"{key}.encoders", f"no encoder '{name}'{did_you_mean(name, encoders)}") for name in unknown_encoders)
    yield from ((f"{key}.models", f"no model '{name}'{did_you_mean(name, models)}") for name in unknown_models)
    for part in ("encoders", "models", "seeds"):
        yield from _named_twice(f"{key}.{part}", getattr(dataset, part) or [])
    if dataset.name in RESERVED:
        yield f"{key}.name", f"results/{dataset.name} holds what every job writes, choose another name"
    if unknown_encoders or unknown_models:
        return
    yield from _probe_checks(dataset, config)
    for name in dataset.encoders or []:
        if encoders[name] not in (dataset.modality, None):
            yield f"{key}.encoders", f"encoder '{name}' takes {encoders[name]}s, the data set holds {dataset.modality}s"
    if not dataset.source.startswith(("builtin:", "hub")):
        for path in dataset.path.values() if isinstance(dataset.path, dict) else [str(dataset.path)]:
            if not Path(path).exists():
                yield f"{key}.path", f"no file or folder '{path}'"
    yield from _measurable_checks(dataset, config)
    if dataset.metric == "f1" and (count := _class_count(dataset)) != 2:
        yield f"{key}.metric", f"f1 needs two classes, there are {count}; macro_f1 is for any number"
    if main_encoder(config, dataset) is None:
        yield f"{key}.encoders", f"no encoder of the config takes {dataset.modality}s"
    if not models_of(config, dataset):
        yield f"{key}.models", f"no model of the config takes {dataset.modality}s and has assay: true"
    yield from _model_checks(dataset, config, encoders)


def _probe_checks(dataset: Dataset, config: Config) -> Iterable[tuple[str, str]]:
    """Yield a fault for files of probes that are not there, and for probes whose content cannot be made or encoded."""
    probes, key = dataset.probes, f"datasets[{dataset.name}].probes"
    if probes is None:
        return
    files = {"foreign": probes.foreign, "scores.path": probes.scores.path if probes.scores else None}
    yield from ((f"{key}.{name}", f"no file '{f}'") for name, f in files.items() if f and not Path(f).is_file())
    if dataset.modality == "text" and "out_of_distribution" in probes.suites and probes.foreign is None:
        yield f"{key}.foreign", "texts out of distribution are sentences of another data set: name a file of them"
    if len(set(probes.suites) - {"ordinary"}) < 2:
        yield f"{key}.suites", "needs at least 2 besides ordinary, so that examples have categories to choose from"
    changed = [suite for suite in probes.suites if suite in CHANGED]
    used = [encoder for encoder in encoders_of(config, dataset) if encoder.kind == "vectors"]
    if changed and used:
        yield f"{key}.suites", f"'{changed[0]}' changes content, and encoder '{used[0].name}' has no vectors of that"


def _class_count(dataset: Dataset) -> int:
    """Return how many classes a data set has, as far as the config alone tells, else 2."""
    if dataset.imbalance is not None and dataset.imbalance.rest is not None:
        return 1 + len(dataset.imbalance.minority)
    return len(dataset.classes or dataset.label_names or "ab")


def _model_checks(dataset: Dataset, config: Config, encoders: Mapping[str, str | None]) -> Iterable[tuple[str, str]]:
    """Yield a fault for every model, retrained model or encoder of one that takes what the data set does not hold."""
    known = {model.name: model for model in config.models}
    if len(known) < len(config.models):
        return
    for measured in models_of(config, dataset):
        for name in dict.fromkeys((measured.name, measured.retrain or measured.name)):
            model = known.get(name)
            if model is None:
                continue
            if dataset.task == "multiple_choice" and model.recipe != "finetune":
                text = f"model '{name}' cannot choose among options, only recipe finetune reads them"
                yield f"datasets[{dataset.name}].models", text
            taken = {"model": (name, model.modality), "encoder": (model.encoder, encoders.get(str(model.encoder)))}
            for what, (who, modality) in taken.items():
                if modality not in (None, dataset.modality):
                    text = f"{what} '{who}' takes {modality}s, the data set holds {dataset.modality}s"
                    yield f"datasets[{dataset.name}].models", text


def _ratio_checks(ratios: Sequence[float]) -> Iterable[tuple[str, str]]:
    from datassay.selection.pruning import ratio_text

    yield from _named_twice("pruning.ratios", ratios)
    for ratio in ratios:
        try:
            ratio_text(ratio)
        except DatassayError as error:
            yield "pruning.ratios", str(error)


def _measurable_checks(dataset: Dataset, config: Config) -> Iterable[tuple[str, str]]:
    """Yield a fault where pruned models would have no row to be measured on, as far as the config alone tells."""
    retrained = bool(strategies(config) or cleaned_cells(config, dataset.name))
    if _surely_carved(dataset) and not dataset.split.test and not dataset.split.validation and retrained:
        yield (
            f"datasets[{dataset.name}].split",
            "test and validation are both 0, so pruned models cannot be measured: raise one, or set pruning.strategies "
            "and cleaning.by to []",
        )


def _surely_carved(dataset: Dataset) -> bool:
    """Whether a data set has no splits but those carved out of its rows, as far as the config alone tells."""
    named = isinstance(dataset.path, dict) or bool(dataset.columns.split)
    return dataset.source in ("csv", "tsv", "jsonl", "parquet") and not named


def valuation_checks(config: Config) -> Iterable[tuple[str, str]]:
    """Yield a fault for every data set without valuation rows on which values are asked for, or a share to clean."""
    for dataset in config.datasets:
        if dataset.split.valuation or not _surely_carved(dataset):
            continue
        readers = {
            "valuation.estimators": estimators_of(config, dataset.name),
            "pruning.strategies": _reading_values(config, dataset.name),
            "cleaning.by": (config.cleaning.by or []) if cleaned_cells(config, dataset.name) else [],
        }
        if used := {key: names for key, names in readers.items() if names}:
            users = "; ".join(f"{key}: {', '.join(names)}" for key, names in used.items())
            yield (
                f"datasets[{dataset.name}].split",
                f"valuation is 0, so there are no rows for what measures on them ({users}): raise it, or leave these "
                "out ([] for none)",
            )


def _reading_values(config: Config, dataset_name: str) -> list[str]:
    """Return the strategies of a data set that rank by the values of an estimator."""
    names = [name for name in strategies(config) if name not in left_out(config, dataset_name)]
    return [name for name in names if methods("estimator").keys() & set(strategy_of(config, name).inputs.values())]


def _column_checks(config: Config) -> Iterable[tuple[str, str]]:
    """Yield a fault for every strategy by a column whose name is taken or whose column nothing computes."""
    columns = {c.name for about in methods("measure").values() for c in about.columns if not c.names}
    known = sorted(columns | methods("estimator").keys())
    yield from _named_twice("pruning.by_column", [block.name for block in config.pruning.by_column])
    for block in config.pruning.by_column:
        if block.name in methods("strategy"):
            yield f"pruning.by_column[{block.name}].name", "there is a strategy of this name, choose another"
        if block.column not in known:
            fault = f"no measure or estimator computes '{block.column}'{did_you_mean(block.column, known)}"
            yield f"pruning.by_column[{block.name}].column", fault


def family_checks(config: Config) -> Iterable[tuple[str, str]]:
    """Yield a fault where no family yields what the report or a strategy cannot do without."""
    for dataset in config.datasets:
        yield from (("meta_information.families", text) for text in _missing_families(config, dataset))


def _missing_families(config: Config, dataset: Dataset) -> Iterable[str]:
    families = [methods("measure")[name] for name in families_of(config, dataset.name)]
    ends = {column.name for about in families for column in about.columns if column.mislabelled}
    suited = {name for about in families for name in about.columns_of(dataset.task)}
    if not estimators_of(config, dataset.name) and not ends & suited:
        usual = "regression_dynamics" if dataset.task == "regression" else "label_quality or training_dynamics"
        yield f"none of them says which labels of '{dataset.name}' are wrong, add {usual}"
    if not infoverse_families(config, dataset.name):
        for name in strategies(config):
            if name not in left_out(config, dataset.name) and "infoverse" in strategy_of(config, name).inputs.values():
                yield f"none of them holds infoVerse columns, which strategy '{name}' reads, add static"


def strategy_checks(config: Config) -> Iterable[tuple[str, str]]:
    """Yield a fault for every strategy that reads a column which cannot be computed from what will be recorded."""
    family_of = {column.name: family for family, about in methods("measure").items() for column in about.columns}
    for dataset in config.datasets:
        absent = {"ensemble": "at least 2 seeds"} if len(seeds_of(config, dataset)) < 2 else {}
        if dataset.modality == "text" and config.meta_information.language_model is None:
            absent["pseudo_log_likelihood"] = "meta_information.language_model"
        for model in models_of(config, dataset):
            of_model, missing = f"of models[{model.name}]", dict(absent)
            missing |= {"training_dynamics": f"at least 2 epochs {of_model}"} if model.epochs < 2 else {}
            missing |= {ARCHAEOLOGY: "probes"} if dataset.probes is None else {}
            missing |= {"mc_dropout": f"at least 2 mc_passes {of_model}"} if model.mc_passes < 2 else {}
            for name in [name for name in strategies(config) if name not in left_out(config, dataset.name)]:
                for column in strategy_of(config, name).inputs.values():
                    if needs := missing.get(column) or missing.get(family_of.get(column, "")):
                        yield (
                            "pruning.strategies",
                            f"'{name}' reads '{column}', which needs {needs} on '{dataset.name}': "
                            "set that or leave the strategy out",
                        )


def _unknown_methods(key: str, kind: Kind, names: Sequence[str]) -> Iterable[tuple[str, str]]:
    known = methods(kind)
    for name in names:
        if name not in known:
            yield key, f"unknown {kind} '{name}'{did_you_mean(name, known)}"
    yield from _named_twice(key, names)


def _named_twice(key: str, values: Sequence[Any]) -> Iterable[tuple[str, str]]:
    for value in sorted({v for v in values if values.count(v) > 1}):
        yield key, f"{value!r} is named twice"


def _unknown_options(key: str, kind: Kind, options: Options) -> Iterable[tuple[str, str]]:
    known = methods(kind)
    for name, given in options.items():
        if name not in known:
            yield key, f"unknown {kind} '{name}'{did_you_mean(name, known)}"
            continue
        for option in given:
            if option not in known[name].options:
                yield f"{key}.{name}", f"unknown option '{option}'{did_you_mean(option, known[name].options)}"
            elif expected := _wrong_kind(known[name].options[option], given[option]):
                yield f"{key}.{name}.{option}", f"found {shortened(given[option])}, needs {expected}"
            elif given[option] not in (allowed := known[name].choices.get(option, (given[option],))):
                yield f"{key}.{name}.{option}", f"unknown '{given[option]}'{did_you_mean(given[option], allowed)}"


def _utility_checks(options: Options) -> Iterable[tuple[str, str]]:
    from datassay.value_plan import UTILITIES, chooses_utility

    for name, given in options.items():
        utility, key = given.get("utility", UTILITIES[0]), f"valuation.options.{name}.utility"
        if name not in methods("estimator") or not chooses_utility(name):
            continue
        if utility not in UTILITIES:
            yield key, f"unknown utility '{utility}'{did_you_mean(utility, UTILITIES)}"
        elif name == "cs_shapley" and utility == "model":
            yield key, "needs a utility that is known by class, allowed: knn, logistic, ridge"


def _wrong_kind(default: Any, given: Any) -> str | None:
    """Say what an option takes where what is given is of another kind than its default; None where it is not."""
    if isinstance(default, bool):
        return None if isinstance(given, bool) else "true or false"
    if isinstance(default, int):
        return None if isinstance(given, int) and not isinstance(given, bool) else "a whole number"
    if isinstance(default, float):
        return None if isinstance(given, int | float) and not isinstance(given, bool) else "a number"
    return "a text" if isinstance(default, str) and not isinstance(given, str) else None
