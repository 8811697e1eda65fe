"""Data sets: where they come from and what is made of them."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from datassay.config.archaeology import Probes
from datassay.config.blocks import Block, Modality, Name, Number, Share, Task
from datassay.errors import did_you_mean

Split = Literal["train", "validation", "valuation", "test"]
Metric = Literal["accuracy", "macro_f1", "f1", "mcc", "auroc", "pearson", "spearman"]
REGRESSION_METRICS: tuple[Metric, ...] = ("pearson", "spearman")


class Columns(Block):
    """Which column of the source holds what."""

    text: str | None = Field(None, description="text of the example; makes this a text data set")
    text_b: str | None = Field(None, description="second text of a pair")
    options: Annotated[str, Field(min_length=1)] | list[Annotated[str, Field(min_length=1)]] | None = Field(
        None,
        description="multiple choice: the column that holds the list of options, or the columns of one option each: "
        "[option1, option2]",
    )
    image: str | None = Field(
        None, description="image: encoded bytes, a path relative to the data file, or an array; makes this an image set"
    )
    label: str = Field(
        "label",
        description="given label: a name or a whole number; regression: a number; multiple choice: number of the right "
        "option, or its name in `label_names`",
    )
    id: str | None = Field(None, description="unique id; without it ids are made from file and row")
    split: str | None = Field(None, description="names the split of each row; see `split.names`")
    group: str | None = Field(None, description="group of the example (class and background, say), for minority_groups")
    true_label: str | None = Field(None, description="correct label where known, used only to score noise detection")


def _usual_names() -> dict[Split, list[str]]:
    return {
        "train": ["train", "training"],
        "validation": ["validation", "valid", "val", "dev"],
        "valuation": ["valuation", "shapley_val"],
        "test": ["test", "testing"],
    }


class SplitSettings(Block):
    """How rows are divided into train, validation, valuation, test and pool."""

    names: dict[Split, list[str]] = Field(
        default_factory=_usual_names,
        description="values of the split column (or names of files, folders, hub splits) that make up each split",
    )
    validation: Share = Field(0.1, description="share of the train rows to use where the source brings no such split")
    valuation: Share = Field(0.1, description="the same for the split on which data values are measured")
    test: Share = Field(0.2, description="the same for the split of the final numbers")
    pool: Share = Field(
        0.0, description="the same for the pool, the label hidden (and kept as the true one): to try out annotation"
    )
    seed: int = Field(0, description="seed of the stratified split")

    @model_validator(mode="after")
    def _leave_rows_to_train(self) -> Self:
        if self.validation + self.valuation + self.test + self.pool >= 1:
            raise ValueError("validation, valuation, test and pool together must be below 1, train needs rows too")
        return self


class Noise(Block):
    """Label noise to inject into the train split; the true labels are kept, so that detection can be scored."""

    kind: Literal["symmetric", "class_pair"] = Field(
        "symmetric", description="symmetric: any other class alike; class_pair: always the next class"
    )
    rate: Share = Field(0.0, description="share of train rows whose label is changed; 0 for none")
    seed: int = Field(0, description="seed of the noise")


class Imbalance(Block):
    """A rare class, natural or made of a common one."""

    minority: list[str] = Field(min_length=1, description="names of the rare classes")
    rest: str | None = Field(
        "rest", description="name of the class that takes all others (number 0); null keeps them as they are"
    )
    share: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None,
        description="p: keep ceil(p n / (1 - p)) train rows of every rare class, n those of all other classes; null "
        "keeps them all",
    )
    test_majority: Annotated[int, Field(gt=0)] | None = Field(
        None, description="test rows of the other classes that are kept; null keeps them all"
    )
    seed: int = Field(0, description="seed of which rows are kept")


class Dataset(Block):
    """One data set: where it comes from and what is made of it."""

    name: Name = Field(description="its name in paths and figures")
    source: str = Field(
        description="builtin:docstrings, builtin:digits (or your own registered one), csv, tsv, jsonl, parquet, "
        "imagefolder, hub"
    )
    path: Annotated[str, Field(min_length=1)] | dict[str, Annotated[str, Field(min_length=1)]] | None = Field(
        None, description="file, folder or hub name; or one file per split: {train: a.csv, test: b.csv}"
    )
    subset: str | None = Field(None, description="hub: configuration of the data set")
    revision: str | None = Field(None, description="hub: commit to pin")
    task: Task = Field(
        "classification",
        description="classification; regression: labels are numbers; multiple_choice: the label says which of "
        "`columns.options` is right",
    )
    metric: Metric | None = Field(
        None,
        description="metric that tables and figures lead with, else accuracy (regression: pearson); f1 is that of the "
        "second class and needs two classes",
    )
    columns: Columns = Field(default_factory=Columns, description="which column holds what")
    label_names: list[str] | None = Field(
        None, min_length=2, description="names of the labels 0, 1, ...; else taken from the source"
    )
    classes: list[str] | None = Field(None, description="keep only these classes (by name)")
    missing_labels: Literal["error", "pool"] = Field(
        "error",
        description="train rows without a label (an empty or blank cell, null, NaN; not a word such as NA): an error, "
        "or the pool, which models predict on and never learn from",
    )
    imbalance: Imbalance | None = Field(None, description="rare classes, for active learning")
    subsample: Annotated[int, Field(gt=0)] | None = Field(None, description="keep this many rows, stratified")
    subsample_seed: int = Field(0, description="seed of the subsample")
    split: SplitSettings = Field(default_factory=SplitSettings, description="division into splits")
    noise: Noise = Field(default_factory=Noise, description="label noise to inject")
    probes: Probes | None = Field(None, description="probes for metadata archaeology; null: none")
    evaluate_on: Literal["label", "true_label"] = Field(
        "label", description="labels outside train: as given, or the true ones where `columns.true_label` has them"
    )
    encoders: list[Name] | None = Field(
        None, description="encoders to use, else all that fit; the first is the main one"
    )
    models: list[Name] | None = Field(None, description="models to train, else all that fit")
    seeds: list[int] | None = Field(None, min_length=1, description="training seeds, else the common ones")

    @property
    def modality(self) -> Modality:
        """text or image."""
        if self.source.startswith("builtin:"):
            from datassay.registry import method

            return method("dataset", self.source.removeprefix("builtin:")).modality or "text"
        return "image" if self.columns.image or self.source == "imagefolder" else "text"

    def preparation(self) -> dict[str, Any]:
        """Return the part that decides what examples.parquet holds."""
        return self.params("metric", "encoders", "models", "seeds", "probes")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._check_task()
        kinds = ("csv", "tsv", "jsonl", "parquet", "imagefolder", "hub")
        if self.source.startswith("builtin:"):
            return self
        if self.source not in kinds:
            raise ValueError(
                f"source '{self.source}' is unknown{did_you_mean(self.source, [*kinds, 'builtin:docstrings'])}"
            )
        if not self.path:
            raise ValueError(f"source '{self.source}' needs a path")
        if self.evaluate_on == "true_label" and self.columns.true_label is None:
            raise ValueError("evaluate_on: true_label needs columns.true_label")
        if self.source != "imagefolder" and bool(self.columns.text) == bool(self.columns.image):
            raise ValueError("columns: name either a text or an image column")
        if self.task == "multiple_choice" and self.columns.options is None:
            raise ValueError("task: multiple_choice needs columns.options")
        return self

    def _check_task(self) -> None:
        """Refuse what the task has no use for."""
        regression, choice = self.task == "regression", self.task == "multiple_choice"
        metrics = (
            REGRESSION_METRICS if regression else tuple(m for m in get_args(Metric) if m not in REGRESSION_METRICS)
        )
        if self.metric is not None and self.metric not in metrics:
            raise ValueError(f"metric: '{self.metric}' is none of {self.task}, allowed: {', '.join(metrics)}")
        if self.columns.options is not None and not choice:
            raise ValueError("columns.options: only task: multiple_choice has options")
        if choice and (self.columns.image or self.source == "imagefolder"):
            raise ValueError("task: multiple_choice is about texts, name columns.text")
        if regression and self.source == "imagefolder":
            raise ValueError(
                "task: regression needs labels that are numbers, the folders of an imagefolder are classes"
            )
        if regression and self.noise.rate:
            raise ValueError("noise: flips classes, a regression has none; leave noise out")
        if regression and self.label_names is not None:
            raise ValueError("label_names: the labels of a regression are numbers and have no names, leave it out")
        if self.probes is not None and self.task != "classification":
            raise ValueError(f"probes: need classes, task: {self.task} has none; leave probes out")
        for key in ("classes", "imbalance"):
            if getattr(self, key) is not None and self.task != "classification":
                raise ValueError(f"{key}: a {self.task.replace('_', ' ')} has none to choose, leave it out")
