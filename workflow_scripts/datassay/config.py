"""The config: every key, its default, its meaning and what is allowed, in one place.

The JSON schema and docs/configuration.md are generated from these models (`python -m datassay.documentation`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from datassay.errors import DatassayError, did_you_mean

Split = Literal["train", "validation", "valuation", "test"]
Modality = Literal["text", "image"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="letters, digits, _ and -")]


def _number(value: Any) -> Any:
    """YAML reads 1e-4 (no dot) as text; take it for the number that was meant."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number)]
Share = Annotated[Number, Field(ge=0, lt=1)]


class Block(BaseModel):
    """A part of the config: unknown keys are refused, values are never silently converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def params(self, *leave_out: str) -> dict[str, Any]:
        """Return plain values for a rule's params; the text is the same however the YAML was ordered or written."""
        return self.model_dump(mode="json", exclude=set(leave_out) or None)


class Columns(Block):
    """Which column of the source holds what."""

    text: str | None = Field(None, description="text of the example; makes this a text data set")
    text_b: str | None = Field(None, description="second text of a pair")
    image: str | None = Field(
        None, description="image: encoded bytes, a path relative to the data file, or an array; makes this an image set"
    )
    label: str = Field("label", description="given label: a name or a whole number")
    id: str | None = Field(None, description="unique id; without it ids are made from file and row")
    split: str | None = Field(None, description="names the split of each row; see `split.names`")
    true_label: str | None = Field(None, description="correct label where known, used only to score noise detection")


def _usual_names() -> dict[Split, list[str]]:
    return {
        "train": ["train", "training"],
        "validation": ["validation", "valid", "val", "dev"],
        "valuation": ["valuation", "shapley_val"],
        "test": ["test", "testing"],
    }


class SplitSettings(Block):
    """How rows are divided into train, validation, valuation and test."""

    names: dict[Split, list[str]] = Field(
        default_factory=_usual_names,
        description="values of the split column (or names of files, folders, hub splits) that make up each split",
    )
    validation: Share = Field(0.1, description="share of the train rows to use where the source brings no such split")
    valuation: Share = Field(0.1, description="the same for the split on which data values are measured")
    test: Share = Field(0.2, description="the same for the split of the final numbers")
    seed: int = Field(0, description="seed of the stratified split")

    @model_validator(mode="after")
    def _leave_rows_to_train(self) -> Self:
        if self.validation + self.valuation + self.test >= 1:
            raise ValueError("validation, valuation and test together must be below 1, train needs rows too")
        return self


class Noise(Block):
    """Label noise to inject into the train split; the true labels are kept, so that detection can be scored."""

    kind: Literal["symmetric", "class_pair"] = Field(
        "symmetric", description="symmetric: any other class alike; class_pair: always the next class"
    )
    rate: Share = Field(0.0, description="share of train rows whose label is changed; 0 for none")
    seed: int = Field(0, description="seed of the noise")


class Dataset(Block):
    """One data set: where it comes from and what is made of it."""

    name: Name = Field(description="its name in paths and figures")
    source: str = Field(
        description="builtin:docstrings, builtin:digits (or your own registered one), csv, tsv, jsonl, parquet, "
        "imagefolder, hub"
    )
    path: str | dict[str, str] | None = Field(
        None, description="file, folder or hub name; or one file per split: {train: a.csv, test: b.csv}"
    )
    subset: str | None = Field(None, description="hub: configuration of the data set")
    revision: str | None = Field(None, description="hub: commit to pin")
    columns: Columns = Field(default_factory=Columns, description="which column holds what")
    label_names: list[str] | None = Field(None, description="names of the labels 0, 1, ...; else taken from the source")
    classes: list[str] | None = Field(None, description="keep only these classes (by name)")
    subsample: Annotated[int, Field(gt=0)] | None = Field(None, description="keep this many rows, stratified")
    subsample_seed: int = Field(0, description="seed of the subsample")
    split: SplitSettings = Field(default_factory=SplitSettings, description="division into splits")
    noise: Noise = Field(default_factory=Noise, description="label noise to inject")
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
        return self.params("encoders", "models", "seeds")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        kinds = ("csv", "tsv", "jsonl", "parquet", "imagefolder", "hub")
        if self.source.startswith("builtin:"):
            return self
        if self.source not in kinds:
            raise ValueError(
                f"source '{self.source}' is unknown{did_you_mean(self.source, [*kinds, 'builtin:docstrings'])}"
            )
        if self.path is None:
            raise ValueError(f"source '{self.source}' needs a path")
        if self.evaluate_on == "true_label" and self.columns.true_label is None:
            raise ValueError("evaluate_on: true_label needs columns.true_label")
        if self.source != "imagefolder" and bool(self.columns.text) == bool(self.columns.image):
            raise ValueError("columns: name either a text or an image column")
        return self


class Index(Block):
    """Approximate neighbour index (HNSW)."""

    m: Annotated[int, Field(ge=2)] = Field(16, description="links per element")
    ef_construction: Annotated[int, Field(ge=2)] = Field(200, description="candidates while building")
    ef: Annotated[int, Field(ge=1)] = Field(200, description="candidates while searching")
    neighbors: Annotated[int, Field(ge=1)] = Field(20, description="exact neighbours to store per example")
    seed: int = Field(0, description="seed of the index levels")


class Encoder(Block):
    """Turns examples into unit vectors once, for neighbours, values, densities and head models."""

    name: Name = Field(description="its name in paths")
    kind: Literal["sentence_transformer", "vision", "pixels"] = Field(
        description="sentence_transformer: text; vision: an image model of transformers; pixels: scaled pixels, PCA"
    )
    model: str = Field("builtin:minilm", description="builtin:minilm, a hub name or a local folder (not for pixels)")
    revision: str | None = Field(None, description="commit of the hub model to pin")
    batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per forward pass")
    max_length: Annotated[int, Field(gt=0)] = Field(128, description="tokens kept per text")
    image_size: Annotated[int, Field(gt=0)] = Field(
        32, description="side in pixels that images are resized to (vision: only where the model names none)"
    )
    components: Annotated[int, Field(gt=0)] | None = Field(64, description="pixels: principal components to keep")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="auto: bf16 where the GPU has it, else float32"
    )
    shard_rows: Annotated[int, Field(gt=0)] = Field(
        4096, description="rows saved at a time, so that a killed job goes on"
    )
    threads: Annotated[int, Field(gt=0)] = Field(1, description="CPU threads; the last bits of results depend on it")
    gpu: Annotated[int, Field(ge=0)] = Field(0, description="GPUs the job asks for")
    index: Index = Field(default_factory=Index, description="neighbour index")

    @property
    def modality(self) -> Modality:
        """What it encodes."""
        return "text" if self.kind == "sentence_transformer" else "image"

    def encoding(self) -> dict[str, Any]:
        """Return the part that decides what the vectors are."""
        return self.params("threads", "gpu", "index")


class Training(Block):
    """What every recipe has in common."""

    name: Name = Field(description="its name in paths")
    encoder: Name | None = Field(None, description="encoder whose vectors go with this model, else the first that fits")
    retrain: Name | None = Field(None, description="model that is retrained on pruned data, else this one")
    assay: bool = Field(True, description="false: only retrain with it, measure nothing")
    epochs: Annotated[int, Field(gt=0)] = Field(description="passes over the train split; each one is recorded")
    batch_size: Annotated[int, Field(gt=0)] = Field(32, description="examples per step")
    eval_batch_size: Annotated[int, Field(gt=0)] = Field(256, description="examples per forward pass when recording")
    accumulation: Annotated[int, Field(gt=0)] = Field(1, description="batches per optimiser step")
    optimizer: Literal["adamw", "adam", "sgd"] = Field("adamw", description="optimiser")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(description="peak learning rate")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.01, description="weight decay (not on biases and norms)")
    momentum: Share = Field(0.9, description="momentum of sgd")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="learning rate after the warm-up")
    warmup: Share = Field(0.06, description="share of the steps in which the learning rate rises")
    clip_norm: Annotated[Number, Field(gt=0)] | None = Field(1.0, description="largest gradient norm")
    mc_passes: Annotated[int, Field(ge=0)] = Field(10, description="forward passes with dropout after training")
    precision: Literal["auto", "float32", "bf16"] = Field("auto", description="auto: bf16 where the GPU has it")
    threads: Annotated[int, Field(gt=0)] = Field(1, description="CPU threads; the last bits of results depend on it")
    gpu: Annotated[int, Field(ge=0)] = Field(0, description="GPUs the job asks for")

    @property
    def modality(self) -> Modality | None:
        """What it takes; None: whatever its encoder takes."""
        return None

    def recipe_params(self) -> dict[str, Any]:
        """Return the part that decides what training computes."""
        return self.params("retrain", "assay", "threads", "gpu")


class Finetune(Training):
    """Fine-tune a sequence classifier of transformers."""

    recipe: Literal["finetune"]
    backbone: str = Field("builtin:minilm", description="builtin:minilm, a hub name or a local folder")
    revision: str | None = Field(None, description="commit of the hub model to pin")
    epochs: Annotated[int, Field(gt=0)] = Field(4, description="passes over the train split; each one is recorded")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(5e-4, description="peak learning rate")
    max_length: Annotated[int, Field(gt=0)] = Field(128, description="tokens kept per text (or pair)")
    dropout: Share | None = Field(None, description="dropout of the network, else the backbone's own")
    freeze_embeddings: bool = Field(False, description="keep the embedding layer as it is")
    freeze_layers: Annotated[int, Field(ge=0)] = Field(0, description="keep this many lower layers as they are")
    eval_batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per forward pass when recording")

    @property
    def modality(self) -> Modality:
        """text."""
        return "text"


class Head(Training):
    """Train a multi-layer perceptron on an encoder's vectors."""

    recipe: Literal["head"]
    epochs: Annotated[int, Field(gt=0)] = Field(20, description="passes over the train split; each one is recorded")
    batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per step")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(2e-3, description="peak learning rate")
    hidden: list[Annotated[int, Field(gt=0)]] = Field([256], description="widths of the hidden layers")
    dropout: Share = Field(0.2, description="dropout before every layer")


class Cnn(Training):
    """Train a small convolutional network on small images."""

    recipe: Literal["cnn"]
    epochs: Annotated[int, Field(gt=0)] = Field(10, description="passes over the train split; each one is recorded")
    batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per step")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(2e-3, description="peak learning rate")
    image_size: Annotated[int, Field(gt=0)] = Field(32, description="side in pixels that images are resized to")
    channels: list[Annotated[int, Field(gt=0)]] = Field(
        [32, 64, 128], min_length=1, description="channels of the blocks; every block but the first halves the size"
    )
    dropout: Share = Field(0.2, description="dropout before the classifier")
    augment: bool = Field(False, description="random shift and horizontal flip while training, never while recording")

    @property
    def modality(self) -> Modality:
        """image."""
        return "image"


Model = Annotated[Finetune | Head | Cnn, Field(discriminator="recipe")]
Options = dict[str, dict[str, Any]]


class MetaInformation(Block):
    """The measures to compute."""

    families: list[Name] = Field(
        ["training_dynamics", "ensemble", "mc_dropout", "static", "pretrained", "label_quality"],
        description="measure families; each is one file",
    )
    language_model: str | None = Field(
        None,
        description="masked language model (hub name or folder) for pseudo_log_likelihood of texts; none: left out",
    )
    language_model_revision: str | None = Field(None, description="commit of the hub model to pin")
    options: Options = Field(default_factory=dict, description="options of a family: {static: {k: 5}}")


class Valuation(Block):
    """The data values to estimate."""

    estimators: list[Name] = Field(["knn_shapley"], description="estimators; each is one file")
    options: Options = Field(default_factory=dict, description="options of an estimator: {knn_shapley: {k: 10}}")


class Pruning(Block):
    """Which examples to keep, and what a model loses without the rest."""

    strategies: list[Name] = Field(
        ["random", "balanced_random", "easy", "hard", "ambiguous", "el2n", "forgetting", "aum", "coreset", "shapley",
         "infoverse_dpp"],
        description="selection strategies to compare; the full data is always run beside them",
    )  # fmt: skip
    ratios: list[Annotated[Number, Field(gt=0, lt=1)]] = Field([0.2, 0.5, 0.8], description="shares of train rows kept")
    rank_up_to: Annotated[Number, Field(gt=0, le=1)] = Field(
        0.9, description="rank this share of the train rows; adding a ratio up to it re-runs nothing else"
    )
    seed: int = Field(0, description="seed of random choices and of breaking ties")
    options: Options = Field(
        default_factory=dict, description="options of a strategy: {infoverse_dpp: {block_size: 20000}}"
    )

    @model_validator(mode="after")
    def _rank_enough(self) -> Self:
        if self.ratios and max(self.ratios) > self.rank_up_to:
            raise ValueError(f"ratio {max(self.ratios)} is above rank_up_to, raise rank_up_to to {max(self.ratios)}")
        return self


class Report(Block):
    """What people see."""

    suspicious: Annotated[int, Field(gt=0)] = Field(5, description="most suspicious examples shown at the end of a run")


class Config(Block):
    """Everything that can be set."""

    datasets: list[Dataset] = Field(min_length=1, description="data sets to assay")
    encoders: list[Encoder] = Field(min_length=1, description="encoders that data sets may use")
    models: list[Model] = Field(min_length=1, description="models that data sets may use")
    seeds: list[int] = Field(
        [0, 1, 2], min_length=1, description="training seeds; the first one's dynamics are measured"
    )
    meta_information: MetaInformation = Field(default_factory=MetaInformation, description="measures")
    valuation: Valuation = Field(default_factory=Valuation, description="data values")
    pruning: Pruning = Field(default_factory=Pruning, description="pruning")
    report: Report = Field(default_factory=Report, description="figures and tables")
    extensions: list[str] = Field([], description="Python files with your own measures, strategies, data sets")


def training_settings(params: Mapping[str, Any]) -> Finetune | Head | Cnn:
    """Return the model block that `recipe_params` wrote out."""
    recipes: dict[str, type[Finetune] | type[Head] | type[Cnn]] = {"finetune": Finetune, "head": Head, "cnn": Cnn}
    return recipes[params["recipe"]].model_validate(dict(params))


def one(blocks: list[Any], name: str) -> Any:
    """Return the block of a list that has this name."""
    for block in blocks:
        if block.name == name:
            return block
    raise DatassayError(f"no block named '{name}'")


def canonical(value: Any) -> Any:
    """Sort dictionaries and make whole floats plain, so that equal settings are equal text."""
    if isinstance(value, Mapping):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
