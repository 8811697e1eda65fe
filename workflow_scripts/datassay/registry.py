"""One decorator per kind of method; a decorated function is known to the config, the rules, the docs and the tests.

A method is a plain function. Parameters without a default are arrays, named as the artefacts (or renamed by
`arrays={"parameter": "artefact"}`); parameters with a default are options that the config may set; `rng`,
`n_select` and the like are handed in by the stage that calls it.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from datassay.errors import DatassayError, did_you_mean

Kind = Literal["dataset", "measure", "estimator", "strategy", "acquisition"]
TASKS = ("classification", "multiple_choice", "regression")
LABELLED = ("classification", "multiple_choice")  # tasks whose labels are classes, or numbers of options
UNSUITED = {
    "classification": "only for a regression",
    "multiple_choice": "needs classes that examples share, which a multiple choice has not",
    "regression": "needs classes, which a regression has not",
}
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
PACKAGES: dict[Kind, str] = {
    "dataset": "datassay.data",
    "measure": "datassay.measures",
    "estimator": "datassay.valuation",
    "strategy": "datassay.selection",
    "acquisition": "datassay.acquisition",
}


@dataclass(frozen=True)
class Column:
    """One column of a measure.

    mislabelled: which end of the column a wrongly labelled example tends to, None where it says nothing of labels.
    tasks: those in which it means something, None for those of its family. names: it holds names, not numbers.
    """

    name: str
    description: str
    mislabelled: Literal["low", "high"] | None = None
    tasks: tuple[str, ...] | None = None
    names: bool = False


@dataclass(frozen=True)
class Method:
    """A registered function and what the workflow has to know of it. tasks: those of data sets it makes sense for."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    version: int
    source: str
    arrays: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    optional: tuple[str, ...] = ()
    modality: Literal["text", "image"] | None = None
    tasks: tuple[str, ...] = TASKS
    game: Callable[..., Any] | None = None
    summary: Callable[..., Any] | None = None

    @property
    def description(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n", 1)[0]

    def columns_of(self, task: str) -> list[str]:
        """Names of the columns that mean something in a task."""
        return [column.name for column in self.columns if task in (column.tasks or self.tasks)]

    @property
    def inputs(self) -> dict[str, str]:
        """Parameter -> artefact name, for every parameter without a default and every optional array."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            p.name: self.arrays.get(p.name, p.name)
            for p in parameters
            if p.default is inspect.Parameter.empty or p.name in self.optional
        }

    @property
    def options(self) -> dict[str, Any]:
        """Option -> default value, those of an estimator's game among them."""
        return self.game_options | {k: v for k, v in _defaults(self.function).items() if k not in self.optional}

    @property
    def game_options(self) -> dict[str, Any]:
        """Options of what makes an estimator's game -> default value."""
        return _defaults(self.game) if self.game else {}

    @property
    def choices(self) -> dict[str, tuple[Any, ...]]:
        """Option -> what it may be, of the options that are annotated as a Literal."""
        functions = [self.function, *([self.game] if self.game else [])]
        parameters = [p for function in functions for p in inspect.signature(function).parameters.values()]
        return {p.name: get_args(p.annotation) for p in parameters if get_origin(p.annotation) is Literal}

    @property
    def sampled(self) -> bool:
        """Whether it is an estimator that draws one unit of work at a time, to be summed up over shards."""
        return self.kind == "estimator" and "rng" in self.inputs


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


_methods: dict[Kind, dict[str, Method]] = {kind: {} for kind in PACKAGES}
_discovered: set[Kind] = set()


def _register(kind: Kind, **about: Any) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        name = about.pop("name", None) or function.__name__
        known = _methods[kind].get(name)
        if known is not None and known.function.__module__ != function.__module__:
            raise DatassayError(
                f"{function.__module__}: {kind} '{name}' is already defined in {known.function.__module__}, rename it"
            )
        _methods[kind][name] = Method(kind=kind, name=name, function=function, **about)
        return function

    return decorate


def measure(
    *,
    version: int,
    source: str,
    columns: Sequence[Column],
    name: str | None = None,
    arrays: Mapping[str, str] | None = None,
    optional: Sequence[str] = (),
    tasks: Sequence[str] = LABELLED,
) -> Decorator:
    """Register a family of per-example columns: a function of arrays that returns a DataFrame, a dict or one array.

    optional: parameters (default None) that are arrays all the same, left out where the artefact does not exist.
    tasks: those in which its columns mean something (a column may name its own); a family without any such column is
    not computed. A parameter `task` is handed the data set's.
    """
    return _register(
        "measure",
        name=name,
        version=version,
        source=source,
        columns=tuple(columns),
        arrays=arrays or {},
        optional=tuple(optional),
        tasks=tuple(tasks),
    )


def estimator(
    *,
    version: int,
    source: str,
    name: str | None = None,
    game: Callable[..., Any] | None = None,
    summary: Callable[..., Any] | None = None,
    tasks: Sequence[str] = ("classification",),
) -> Decorator:
    """Register a data-value estimator.

    Exact: train and valuation arrays in, values (and standard errors) out. With `game`, a function of these arrays and
    of options of its own, it takes the `game` that comes out instead. Sampled: it also takes `rng`, answers with one
    draw of every value, or arrays that add up, and `summary` turns their sums into values and standard errors.
    tasks: those it can value for; on data sets of another task it is not run. Raises DatassayError for parameters
    without default that are neither these arrays nor, with `game`, game or game and rng.
    """
    allowed = [["game"], ["game", "rng"]] if game else [["train_x", "train_y", "valid_x", "valid_y"]]
    register = _register(
        "estimator", name=name, version=version, source=source, game=game, summary=summary, tasks=tuple(tasks)
    )

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        taken = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        if taken not in allowed:
            raise DatassayError(
                f"estimator '{name or function.__name__}': takes {', '.join(taken) or 'nothing'}, needs "
                f"{' or '.join(map(', '.join, allowed))}{'' if game else '; rng only beside a game'}"
            )
        return register(function)

    return decorate


def strategy(*, version: int, source: str, name: str | None = None, tasks: Sequence[str] = TASKS) -> Decorator:
    """Register a selection strategy: columns and arrays of the train rows in, int64 ranking (keep first) out.

    tasks: those it can rank for; data sets of another task are pruned without it.
    """
    return _register("strategy", name=name, version=version, source=source, tasks=tuple(tasks))


def acquisition(*, version: int, source: str, name: str | None = None) -> Decorator:
    """Register an acquisition function: arrays of the pool in, int64 picks out."""
    return _register("acquisition", name=name, version=version, source=source)


def dataset(*, version: int, source: str, modality: Literal["text", "image"], name: str | None = None) -> Decorator:
    """Register a data set: nothing in, a DataFrame of raw columns out; the config names it `builtin:{name}`."""
    return _register("dataset", name=name, version=version, source=source, modality=modality)


def methods(kind: Kind) -> dict[str, Method]:
    """Return every registered method of a kind by name, importing the package that holds them once."""
    if kind not in _discovered:
        _discovered.add(kind)
        if importlib.util.find_spec(PACKAGES[kind]):
            package = importlib.import_module(PACKAGES[kind])
            for module in pkgutil.iter_modules(package.__path__, prefix=f"{PACKAGES[kind]}."):
                if not module.name.rpartition(".")[2].startswith("_"):
                    importlib.import_module(module.name)
    return dict(sorted(_methods[kind].items()))


def method(kind: Kind, name: str) -> Method:
    """Return one method, or raise an error that lists what there is."""
    known = methods(kind)
    if name not in known:
        raise DatassayError(f"unknown {kind} '{name}'{did_you_mean(name, known)}")
    return known[name]


def load_extensions(paths: Sequence[str | Path]) -> None:
    """Import the user's own Python files, so that the methods they decorate are registered."""
    for path in map(Path, paths):
        if not path.is_file():
            raise DatassayError(f"extensions: no file '{path}'")
        for kind in PACKAGES:
            methods(kind)
        name = f"datassay_extension_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise DatassayError(f"extensions: '{path}' is not a Python file")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except DatassayError:
            raise
        except Exception as error:
            raise DatassayError(f"extensions: {path}: {type(error).__name__}: {error}") from error
