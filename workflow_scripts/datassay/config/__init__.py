"""The config: every key, its default, its meaning and what is allowed, in one place.

The JSON schema and docs/configuration.md are generated from these models (`python -m datassay.documentation`).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from datassay.config.active_learning import (
    Ablation,
    ActiveLearning,
    Initial,
    QueryStrategy,
    Stopping,
    Surprise,
)
from datassay.config.annotation import Annotation, PoolFilters
from datassay.config.archaeology import Archaeology, Probes, ScoreFile
from datassay.config.blocks import Block, Jobs, Name, Number, canonical, one
from datassay.config.cleaning import Cleaning, Detection
from datassay.config.data import Columns, Dataset, Imbalance, Noise, SplitSettings
from datassay.config.models import (
    RECIPES,
    Cnn,
    Encoder,
    Finetune,
    FinetuneImage,
    Head,
    Index,
    LanguageModel,
    Model,
    ResNet,
    Training,
    training_settings,
)
from datassay.config.transfer import Bootstrap, Esm, GroundTruth, Transfer, Tuned
from datassay.config.valuation import Sampling, SamplingStop, Valuation

__all__ = [
    "RECIPES",
    "Ablation",
    "ActiveLearning",
    "Annotation",
    "Archaeology",
    "Block",
    "Bootstrap",
    "ByColumn",
    "Cleaning",
    "Cnn",
    "Columns",
    "Config",
    "Dataset",
    "Detection",
    "Encoder",
    "Esm",
    "Explorer",
    "Finetune",
    "FinetuneImage",
    "GroundTruth",
    "Head",
    "Imbalance",
    "Index",
    "Initial",
    "LanguageModel",
    "Map",
    "MetaInformation",
    "Model",
    "Neighbors",
    "Noise",
    "Options",
    "PoolFilters",
    "Probes",
    "Pruning",
    "QueryStrategy",
    "Report",
    "ResNet",
    "Sampling",
    "SamplingStop",
    "ScoreFile",
    "SplitSettings",
    "Stopping",
    "Surprise",
    "Training",
    "Transfer",
    "Tuned",
    "Valuation",
    "canonical",
    "one",
    "training_settings",
]

Options = dict[str, dict[str, Any]]


class MetaInformation(Block):
    """The measures to compute."""

    families: list[Name] = Field(
        ["training_dynamics", "ensemble", "mc_dropout", "static", "pretrained", "label_quality",
         "regression_dynamics"],
        description="measure families; each is one file; what means nothing in the task of a data set is left out",
    )  # fmt: skip
    language_model: LanguageModel | None = Field(
        None, description="language model for pseudo_log_likelihood of texts; none: left out"
    )
    options: Options = Field(default_factory=dict, description="options of a family: {static: {k: 5}}")


class ByColumn(Block):
    """A strategy that ranks by one column."""

    name: Name = Field(description="name of the strategy, in paths and figures")
    column: Name = Field(description="a column of any measure, or an estimator of values; also one of your extensions")
    keep: Literal["lowest", "highest"] = Field(description="which end of the column is kept first")


class Pruning(Block):
    """Which examples to keep, and what a model loses without the rest."""

    strategies: list[Name] = Field(
        ["random", "balanced_random", "easy", "hard", "ambiguous", "el2n", "forgetting", "aum", "coreset", "shapley",
         "infoverse_dpp"],
        description="selection strategies to compare; the full data is always run beside them; [] prunes nothing",
    )  # fmt: skip
    by_column: list[ByColumn] = Field(
        [], description="strategies of your own that rank by a column: {name: longest, column: length, keep: highest}"
    )
    ratios: list[Annotated[Number, Field(gt=0, lt=1)]] = Field([0.2, 0.5, 0.8], description="shares of train rows kept")
    rank_up_to: Annotated[Number, Field(gt=0, le=1)] = Field(
        0.9,
        description="rank this share of the train rows; adding a ratio up to it re-runs nothing else. The time of "
        "coreset grows with it and with the square of the rows: for hundreds of thousands set it to the largest ratio",
    )
    seed: int = Field(0, description="seed of random choices and of breaking ties")
    options: Options = Field(
        default_factory=dict, description="options of a strategy: {infoverse_dpp: {quality: uniform}}"
    )

    @model_validator(mode="after")
    def _rank_enough(self) -> Self:
        if self.ratios and max(self.ratios) > self.rank_up_to:
            raise ValueError(f"ratio {max(self.ratios)} is above rank_up_to, raise rank_up_to to {max(self.ratios)}")
        return self


class Neighbors(Block):
    """Exact nearest neighbours among the train rows, found once per space and read by all that needs them."""

    k: Annotated[int, Field(ge=1)] = Field(
        90, description="neighbours kept per train row, in the encoder's vectors and in the model's features"
    )
    jobs: Jobs = Field(1, description="jobs that share each search; the neighbours do not depend on it")


class Map(Block):
    """Two-dimensional maps of the train rows (t-SNE)."""

    spaces: list[Literal["infoverse", "embeddings", "features"]] = Field(
        ["infoverse", "embeddings"],
        description="spaces to draw: the z-scored infoVerse, the encoder's vectors, the features of the first seed; "
        "[] draws none",
    )
    perplexity: Annotated[Number, Field(ge=1)] = Field(
        30, description="how many neighbours count, roughly; three times as many are needed of `neighbors.k`"
    )
    iterations: Annotated[int, Field(ge=3)] = Field(
        750, description="steps; in the first third clusters are exaggerated"
    )
    seed: int = Field(0, description="seed of the start")
    threads: Annotated[int, Field(gt=0)] = Field(
        1, description="CPU threads, worth it from some 10,000 rows; the last bits of results depend on it"
    )


class Explorer(Block):
    """The map as a web page: one file per data set that needs no network."""

    enabled: bool = Field(True, description="write it")
    thumbnail: Annotated[int, Field(ge=8, le=256)] = Field(
        64, description="longest side of an image on the page, in pixels; smaller images are left as they are"
    )
    text_length: Annotated[int, Field(ge=20)] = Field(600, description="characters of a text that are shown")
    max_points: Annotated[int, Field(ge=1)] = Field(
        50_000, description="points; of more rows a sample is shown, by label in proportion, and the page says so"
    )


class Report(Block):
    """What people see."""

    suspicious: Annotated[int, Field(gt=0)] = Field(5, description="most suspicious examples shown at the end of a run")
    explorer: Explorer = Field(default_factory=Explorer, description="the map as a web page")


class Config(Block):
    """Everything that can be set."""

    datasets: list[Dataset] = Field(min_length=1, description="data sets to assay")
    encoders: list[Encoder] = Field(min_length=1, description="encoders that data sets may use")
    models: list[Model] = Field(min_length=1, description="models that data sets may use")
    seeds: list[int] = Field(
        [0, 1, 2], min_length=1, description="training seeds; the first one's dynamics are measured"
    )
    meta_information: MetaInformation = Field(default_factory=MetaInformation, description="measures")
    neighbors: Neighbors = Field(default_factory=Neighbors, description="nearest neighbours")
    map: Map = Field(default_factory=Map, description="maps")
    valuation: Valuation = Field(default_factory=Valuation, description="data values")
    pruning: Pruning = Field(default_factory=Pruning, description="pruning")
    archaeology: Archaeology = Field(default_factory=Archaeology, description="metadata archaeology")
    cleaning: Cleaning = Field(default_factory=Cleaning, description="cleaning")
    detection: Detection = Field(default_factory=Detection, description="comparison of detectors")
    annotation: Annotation = Field(default_factory=Annotation, description="labels by people")
    transfer: Transfer = Field(default_factory=Transfer, description="on which data set to fine-tune first")
    active_learning: ActiveLearning = Field(default_factory=ActiveLearning, description="simulated active learning")
    report: Report = Field(default_factory=Report, description="figures and tables")
    extensions: list[str] = Field([], description="Python files with your own measures, strategies, data sets")

    @model_validator(mode="after")
    def _enough_neighbors(self) -> Self:
        needed = int(3 * self.map.perplexity)
        if {"embeddings", "features"} & set(self.map.spaces) and self.neighbors.k < needed:
            raise ValueError(
                f"map.perplexity {self.map.perplexity:g} needs {needed} neighbours, but neighbors.k is "
                f"{self.neighbors.k}: raise neighbors.k or lower map.perplexity"
            )
        return self
