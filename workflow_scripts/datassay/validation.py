"""From raw YAML to a validated config; every fault is one line that names the file, the key and what is allowed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from datassay.config import Block, Config, Dataset, Options
from datassay.errors import DatassayError, did_you_mean
from datassay.registry import Kind, load_extensions, methods

RESERVED = ("logs", "benchmarks")


class ConfigError(DatassayError):
    """One or more faults of the config, a line each."""


def validate(raw: Mapping[str, Any], files: Sequence[str | Path] = ("config.yaml",)) -> Config:
    """Return the config, or raise ConfigError with one line per fault.

    files: the YAML files that `raw` was merged from; a fault names the last one that sets the key.
    """
    name_of = _key_owner(files)
    extensions = raw.get("extensions") or []
    if isinstance(extensions, list) and all(isinstance(path, str) for path in extensions):
        try:
            load_extensions(extensions)
        except DatassayError as error:
            raise ConfigError(f"{name_of('extensions')}: {error}") from error
    try:
        config = Config.model_validate(dict(raw))
    except ValidationError as error:
        lines = [_describe(fault, raw, name_of) for fault in error.errors(include_url=False)]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from None
    faults = [f"{name_of(key)}: {key}: {text}" for key, text in _cross_checks(config)]
    if faults:
        raise ConfigError("\n".join(faults))
    return config


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read one YAML file; a syntax error is one line with file and line."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


def _key_owner(files: Sequence[str | Path]) -> Any:
    contents = [(str(f), read_yaml(f) if Path(f).is_file() else {}) for f in files]

    def owner(key: str) -> str:
        top = key.replace("[", ".").split(".")[0]
        owners = [name for name, content in contents if top in content]
        return owners[-1] if owners else contents[-1][0]

    return owner


def _describe(fault: Mapping[str, Any], raw: Mapping[str, Any], name_of: Any) -> str:
    location = [part for part in fault["loc"] if part not in ("finetune", "head", "cnn") or fault["loc"][0] != "models"]
    key = _key_text(location, raw)
    kind, found = fault["type"], fault["input"]
    if kind == "extra_forbidden":
        text = f"unknown key{did_you_mean(str(location[-1]), _allowed_keys(fault['loc'][:-1]))}"
    elif kind == "missing":
        text = "is missing, it has no default"
    elif kind == "value_error":
        text = str(fault["ctx"]["error"])
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        recipe = found.get("recipe") if isinstance(found, dict) else found
        text = f"recipe: found {recipe!r}{did_you_mean(str(recipe), ['finetune', 'head', 'cnn'])}"
    elif kind == "literal_error":
        options = fault["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        text = f"found {found!r}{did_you_mean(str(found), options)}"
    else:
        text = f"found {_short(found)}, {fault['msg'][0].lower()}{fault['msg'][1:]}"
    return f"{name_of(key)}: {key}: {text}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _key_text(location: Iterable[Any], raw: Any) -> str:
    """Write ("datasets", 0, "noise") as datasets[docstrings].noise."""
    text, here = "", raw
    for part in location:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            here = None
        if isinstance(part, int):
            name = here.get("name") if isinstance(here, dict) else None
            text += f"[{name if isinstance(name, str) and name.isprintable() else part}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def _allowed_keys(location: Iterable[Any]) -> list[str]:
    """Return the keys of the block at a location of the config."""
    blocks: list[type[BaseModel]] = [Config]
    for part in location:
        if isinstance(part, int):
            continue
        inner = [found for block in blocks if part in block.model_fields for found in _blocks_in(block, str(part))]
        tagged = [block for block in blocks if block.__name__.lower() == part]
        blocks = inner or tagged or blocks
    return sorted({name for block in blocks for name in block.model_fields})


def _blocks_in(block: type[BaseModel], key: str) -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = []
    pending = [block.model_fields[key].annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, Block):
            found.append(annotation)
        pending.extend(getattr(annotation, "__args__", ()))
    return found


def _cross_checks(config: Config) -> Iterable[tuple[str, str]]:
    """Yield (key, fault) for names that do not exist, names used twice and methods that are not registered."""
    for key in ("datasets", "encoders", "models"):
        names = [block.name for block in getattr(config, key)]
        yield from ((key, f"the name '{n}' is used twice") for n in sorted({n for n in names if names.count(n) > 1}))
    encoders = {encoder.name: encoder.modality for encoder in config.encoders}
    models = {model.name: model for model in config.models}
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
    yield from _unknown_options("meta_information.options", "measure", config.meta_information.options)
    yield from _unknown_options("valuation.options", "estimator", config.valuation.options)
    yield from _unknown_options("pruning.options", "strategy", config.pruning.options)
    yield from _family_checks(config)


def _dataset_checks(dataset: Dataset, config: Config, encoders: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    from datassay.plan import main_encoder, models_of

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
    for name in dataset.encoders or []:
        if encoders[name] != dataset.modality:
            yield f"{key}.encoders", f"encoder '{name}' takes {encoders[name]}s, the data set holds {dataset.modality}s"
    if not dataset.source.startswith(("builtin:", "hub")):
        for path in dataset.path.values() if isinstance(dataset.path, dict) else [str(dataset.path)]:
            if not Path(path).exists():
                yield f"{key}.path", f"no file or folder '{path}'"
    if main_encoder(config, dataset) is None:
        yield f"{key}.encoders", f"no encoder of the config takes {dataset.modality}s"
    if not models_of(config, dataset):
        yield f"{key}.models", f"no model of the config takes {dataset.modality}s and has assay: true"
    yield from _model_checks(dataset, config, encoders)


def _model_checks(dataset: Dataset, config: Config, encoders: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Yield a fault for every model, retrained model or encoder of one that takes what the data set does not hold."""
    from datassay.plan import models_of

    known = {model.name: model for model in config.models}
    if len(known) < len(config.models):
        return
    for measured in models_of(config, dataset):
        for name in dict.fromkeys((measured.name, measured.retrain or measured.name)):
            model = known.get(name)
            if model is None:
                continue
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


def _family_checks(config: Config) -> Iterable[tuple[str, str]]:
    """Yield a fault where no family yields what the report or a strategy cannot do without."""
    from datassay.plan import infoverse_families

    known, key = methods("measure"), "meta_information.families"
    if not known.keys() >= set(config.meta_information.families):
        return
    families = [known[name] for name in config.meta_information.families]
    if not config.valuation.estimators and not any(c.mislabelled for family in families for c in family.columns):
        yield key, "none of them says which labels are wrong, add label_quality or training_dynamics"
    if not infoverse_families(config):
        for name in config.pruning.strategies:
            about = methods("strategy").get(name)
            if about and "infoverse" in about.inputs.values():
                yield key, f"none of them holds infoVerse columns, which strategy '{name}' reads, add static"


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
                yield f"{key}.{name}.{option}", f"found {_short(given[option])}, needs {expected}"


def _wrong_kind(default: Any, given: Any) -> str | None:
    """Say what an option takes where what is given is of another kind than its default; None where it is not."""
    if isinstance(default, bool):
        return None if isinstance(given, bool) else "true or false"
    if isinstance(default, int):
        return None if isinstance(given, int) and not isinstance(given, bool) else "a whole number"
    if isinstance(default, float):
        return None if isinstance(given, int | float) and not isinstance(given, bool) else "a number"
    return "a text" if isinstance(default, str) and not isinstance(given, str) else None
