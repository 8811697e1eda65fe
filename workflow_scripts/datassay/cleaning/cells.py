"""What is cleaned by what: every (column, rule) of a data set, as it follows from the config."""

from collections.abc import Iterable
from typing import Any, Literal

from datassay.config import Config, one
from datassay.errors import did_you_mean
from datassay.registry import methods

USUAL = "knn_shapley"


def suspicious_end(column: str) -> Literal["low", "high"] | None:
    """Return the end of a value or measure column to which wrong labels tend, None where it says nothing of labels."""
    if column in methods("estimator"):
        return "low"
    return next((c.mislabelled for m in methods("measure").values() for c in m.columns if c.name == column), None)


def cleaned_cells(config: Config, dataset_name: str) -> list[tuple[str, str]]:
    """Return every (column, rule) by which a data set is cleaned; [] where examples have no classes of their own.

    The threshold is for values, which have a zero that means something; a measure is cut at a quantile.
    """
    if one(config.datasets, dataset_name).task != "classification":
        return []
    values = methods("estimator")
    return [
        (column, rule)
        for column in _columns(config)
        for rule in config.cleaning.rules
        if rule == "quantile" or column in values
    ]


def _columns(config: Config) -> list[str]:
    if config.cleaning.by is not None:
        return config.cleaning.by
    return [name for name in config.valuation.estimators if name == USUAL]


def curve_pairs(config: Config, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those (data set, model) whose removal curves are drawn."""
    if not config.detection.utilities:
        return []
    return [(d, m) for d, m in pairs if one(config.datasets, d).task == "classification"]


def cleaning_faults(config: Config) -> Iterable[tuple[str, str]]:
    """Yield (key, fault) for columns that do not exist, say nothing of labels, or have no rule that suits them."""
    known = [c.name for m in methods("measure").values() for c in m.columns] + list(methods("estimator"))
    given: dict[str, list[Any]] = {
        "by": _columns(config),
        "rules": config.cleaning.rules,
        "shares": config.cleaning.shares,
    }
    for key, names in given.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        yield from ((f"cleaning.{key}", f"{name!r} is named twice") for name in twice)
    for name in _columns(config):
        if name not in known:
            yield "cleaning.by", f"no value or measure '{name}'{did_you_mean(name, known)}"
        elif suspicious_end(name) is None:
            yield "cleaning.by", f"'{name}' says nothing of labels: no end of it is where wrong ones tend to be"
        elif name not in methods("estimator") and "quantile" not in config.cleaning.rules:
            yield "cleaning.rules", f"'{name}' is a measure, which has no threshold, add quantile"
