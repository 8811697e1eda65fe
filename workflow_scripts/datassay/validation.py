"""From raw YAML to a validated config; every fault is one line that names the file, the key and what is allowed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from datassay.config import RECIPES, Block, Config
from datassay.config.blocks import PATTERNS
from datassay.config.checks import cross_checks, family_checks, strategy_checks, valuation_checks
from datassay.errors import DatassayError, did_you_mean, shortened
from datassay.registry import load_extensions


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
    for checks in (cross_checks, family_checks, strategy_checks, valuation_checks):
        if faults := [f"{name_of(key)}: {key}: {text}" for key, text in checks(config)]:
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
    location = [part for part in fault["loc"] if part not in RECIPES or fault["loc"][0] != "models"]
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
        text = f"recipe: found {recipe!r}{did_you_mean(str(recipe), RECIPES)}"
    elif kind == "literal_error":
        options = fault["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        text = f"found {found!r}{did_you_mean(str(found), options)}"
    elif kind == "string_pattern_mismatch":
        pattern = fault["ctx"]["pattern"]
        text = f"found {shortened(found)}, allowed: {PATTERNS.get(pattern, pattern)}"
    else:
        text = f"found {shortened(found)}, {fault['msg'][0].lower()}{fault['msg'][1:]}{_hint(fault)}"
    return f"{name_of(key)}: {key}: {text}" if key else f"{name_of(key)}: {text}"


def _hint(fault: Mapping[str, Any]) -> str:
    """Return how to write what was probably meant: a percentage as a share, one value as a list."""
    kind, found = fault["type"], fault["input"]
    percentage = isinstance(found, int | float) and 2 <= found <= 100
    if percentage and kind in ("less_than", "less_than_equal") and 1 in fault["ctx"].values():
        return f": {found / 100:g} for {found:g} %"
    if kind == "list_type" and isinstance(found, str | int | float):
        return f": [{found}]"
    return ""


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
