"""Which files annotation needs: what came back, what is asked next, and what each job reads.

The rounds follow from the names of the files in resources/annotations/{dataset}. A data set that is annotated is
prepared in two steps: its source, which holds texts and images and never changes, and examples.parquet, in which the
answers are merged. So the answers re-run what learns from labels and nothing else.
"""

from collections.abc import Iterable
from typing import Any

from datassay.annotation.rounds import answer_folder, next_round, rounds_of
from datassay.annotation.selection import NOT_RECORDED
from datassay.artefacts import path
from datassay.config import Config, canonical, one
from datassay.errors import did_you_mean
from datassay.plan import (
    array_paths,
    encoder_of,
    infoverse_families,
    models_of,
    options_of,
    retrain_model,
    seeds_of,
)
from datassay.registry import method, methods

FIGURES = ("progress", "agreement", "balance")


def contents_file(config: Config, dataset: str) -> str:
    """Return the file that holds the texts or images of a data set, whatever has become of its labels."""
    return path("source_examples" if dataset in config.annotation.datasets else "examples", dataset=dataset)


def model_of(config: Config, dataset: str) -> str:
    """Return the name of the model that suggests labels for a data set."""
    return config.annotation.model or models_of(config, one(config.datasets, dataset))[0].name


def rounds(dataset: str, until: int | None = None) -> dict[str, int]:
    """Return file -> round of what came back, up to a round where one is given."""
    found = rounds_of(answer_folder(dataset))
    return {file: number for file, number in found.items() if until is None or number <= until}


def answer_file(dataset: str, file: str) -> str:
    """Return the path of a file that came back."""
    return str(answer_folder(dataset) / file)


def answer_files(dataset: str) -> list[str]:
    """Return every file that came back."""
    return [answer_file(dataset, file) for file in rounds(dataset)]


def checked_answers(dataset: str, until: int | None = None) -> list[str]:
    """Return the checked answers of every file, up to a round where one is given."""
    return [path("answers", dataset=dataset, file=file) for file in rounds(dataset, until)]


def answered_rounds(dataset: str) -> list[int]:
    """Return the numbers of the rounds that came back, rising; 0, before the first, is always among them."""
    return sorted({0, *rounds(dataset).values()})


def batch_files(config: Config) -> list[str]:
    """Return what people are to label next, for every annotated data set."""
    names = ("batch_csv", "label_studio", "label_studio_interface", "mturk", "mturk_page")
    return [
        path(name, dataset=dataset, round=next_round(answer_folder(dataset)))
        for dataset in config.annotation.datasets
        for name in names
    ]


def numbers(config: Config, dataset: str) -> bool:
    """Return whether people answer with numbers."""
    return one(config.datasets, dataset).task == "regression" or config.annotation.bins is not None


def filter_inputs(config: Config, dataset: str) -> dict[str, str]:
    """Return what the filters of a pool read."""
    files = {name: path(name, dataset=dataset) for name in ("examples", "source_examples")}
    encoder = encoder_of(config, dataset, model_of(config, dataset))
    if config.annotation.filters.near_duplicates is not None:
        files["embeddings"] = path("embeddings", dataset=dataset, encoder=encoder)
    if config.annotation.filters.max_perplexity is not None and one(config.datasets, dataset).modality == "text":
        files["log_likelihood"] = path("pool_likelihood", dataset=dataset)
    return files


def batch_inputs(config: Config, dataset: str, number: str) -> dict[str, Any]:
    """Return what the choice of a batch reads: the filtered pool, and what the model says of every row."""
    model = model_of(config, dataset)
    names = ["logits", "features", "embeddings"]
    seeds = seeds_of(config, one(config.datasets, dataset))
    return {
        "examples": path("examples", dataset=dataset),
        "card": path("card", dataset=dataset),
        "pool": path("pool", dataset=dataset, round=number),
        **array_paths(config, dataset, model, names),
        "last_logits": [path("logits", dataset=dataset, model=model, seed=seed) for seed in seeds],
    }


def batch_params(config: Config, dataset: str) -> dict[str, Any]:
    """Return the settings that decide which examples make up a batch."""
    settings = config.annotation
    about = method("acquisition", settings.strategy)
    families = infoverse_families(config, dataset) if "infoverse" in about.inputs.values() else []
    families = [name for name in families if "mc_logits" not in method("measure", name).inputs.values()]
    return {
        **settings.params(*(set(type(settings).model_fields) - {"strategy", "batch_size", "extra", "seed"})),
        "options": canonical({**about.options, **settings.options}),
        "near_duplicates": settings.filters.near_duplicates,
        "families": {name: options_of(config, "measure", name) for name in families},
    }


def progress_inputs(config: Config, dataset: str, number: str) -> dict[str, Any]:
    """Return what the gain of a round is measured on: the source, the answers so far, the picks of the round before."""
    before = [r for r in answered_rounds(dataset) if r < int(number)]
    files: dict[str, Any] = {
        "examples": path("source_examples", dataset=dataset),
        "card": path("source_card", dataset=dataset),
        "answers": checked_answers(dataset, int(number)),
        "earlier": [path("round_picks", dataset=dataset, round=before[-1])] if before else [],
    }
    retrained = retrain_model(config, model_of(config, dataset))
    if retrained.recipe == "head":
        files["vectors"] = path("embeddings", dataset=dataset, encoder=encoder_of(config, dataset, retrained.name))
    return files


def round_files(name: str, dataset: str) -> list[str]:
    """Return one file of every round that came back, the one before the first included."""
    return [path(name, dataset=dataset, round=number) for number in answered_rounds(dataset)]


def report_files(config: Config) -> list[str]:
    """Return the tables and figures about the rounds of every annotated data set."""
    tables = [path(name, dataset=d) for d in config.annotation.datasets for name in ("round_table", "budget_table")]
    return tables + [
        path("annotation_figure", dataset=d, figure=figure) for d in config.annotation.datasets for figure in FIGURES
    ]


def annotation_faults(config: Config) -> Iterable[tuple[str, str]]:
    """Yield (key, fault) for what the block annotation names and does not exist or does not fit."""
    settings, key = config.annotation, "annotation"
    datasets = {dataset.name: dataset for dataset in config.datasets}
    known = methods("acquisition")
    twice = sorted({name for name in settings.datasets if settings.datasets.count(name) > 1})
    yield from ((f"{key}.datasets", f"'{name}' is named twice") for name in twice)
    if settings.datasets and settings.strategy not in known:
        yield f"{key}.strategy", f"unknown acquisition '{settings.strategy}'{did_you_mean(settings.strategy, known)}"
        return
    for array in known[settings.strategy].inputs.values() if settings.datasets else ():
        if array in NOT_RECORDED:
            yield f"{key}.strategy", f"'{settings.strategy}' reads {array}: {NOT_RECORDED[array]}"
    options = known[settings.strategy].options if settings.datasets else settings.options
    for option in settings.options:
        if option not in options:
            yield f"{key}.options", f"unknown option '{option}'{did_you_mean(option, options)}"
    for name in settings.datasets:
        if name not in datasets:
            yield f"{key}.datasets", f"no data set '{name}'{did_you_mean(name, datasets)}"
            continue
        if datasets[name].probes is not None:
            yield f"{key}.datasets", f"'{name}' has probes, which annotation has no use for: leave one of the two out"
        task = datasets[name].task
        if task == "multiple_choice":
            yield f"{key}.datasets", f"'{name}' is a multiple choice, annotation is for classes and numbers"
        if task == "regression" and settings.aggregation not in (None, "mean"):
            yield f"{key}.aggregation", f"'{settings.aggregation}' is for classes, the labels of '{name}' are numbers"
        if task == "regression" and "probabilities" in known[settings.strategy].inputs.values():
            yield f"{key}.strategy", f"'{settings.strategy}' reads probabilities, the labels of '{name}' are numbers"
        if task == "regression" and settings.bins is not None:
            yield f"{key}.bins", f"they make classes of numbers, the labels of '{name}' are to stay numbers"
        own = [model.name for model in models_of(config, datasets[name])]
        if settings.model is not None and settings.model not in own:
            yield f"{key}.model", f"'{settings.model}' is not measured on '{name}'{did_you_mean(settings.model, own)}"
        folder = answer_folder(name)
        if folder.exists() and not folder.is_dir():
            yield f"{key}.datasets", f"{folder} is no folder, answers are files in a folder of this name"
        for file in rounds(name):
            if not file.isprintable() or set(file) & set("{}"):
                yield f"{key}.datasets", f"{folder}: rename {file!r}, names hold no braces and no control characters"
