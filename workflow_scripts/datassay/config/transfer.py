"""Transfer: on which data set of a pool to fine-tune first."""

from typing import Annotated, Any, Literal

from pydantic import Field

from datassay.config.blocks import Block, Name, Number, Share

Baseline = Literal[
    "logme", "leep", "nce", "h_score", "frozen", "text_embedding", "task_embedding", "vocabulary", "size"
]  # fmt: skip


class Esm(Block):
    """How an embedding space map is fitted."""

    fit: Literal["ridge", "sgd", "mlp"] = Field(
        "ridge",
        description="ridge: least squares, penalty by exact cross-validation; sgd: the same map by AdamW, as "
        "published; mlp: with hidden layers",
    )
    held_out: Share = Field(0.1, description="share of the rows on which the map's error is measured")
    epochs: Annotated[int, Field(gt=0)] = Field(10, description="sgd, mlp: passes over the rows")
    batch_size: Annotated[int, Field(gt=0)] = Field(32, description="sgd, mlp: rows per step")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(1e-3, description="sgd, mlp: peak, then linear decay")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.01, description="sgd, mlp: weight decay")
    hidden: list[Annotated[int, Field(gt=0)]] = Field([], description="mlp: widths; [] is one of the embedding's width")


class Tuned(Block):
    """A source that is fine-tuned already."""

    source: Name = Field(description="a data set of the config")
    folder: Annotated[str, Field(min_length=1)] = Field(
        description="folder of the fine-tuned classifier, as from_pretrained loads it"
    )


class Bootstrap(Block):
    """Intervals of a ranking."""

    replicates: Annotated[int, Field(ge=0)] = Field(1000, description="draws of the target's rows; 0: no intervals")
    top: Annotated[int, Field(gt=0)] = Field(100, description="ESMs at the head of the ranking that get intervals")


class GroundTruth(Block):
    """Transfers that are really made, to hold the rankings against."""

    enabled: bool = Field(False, description="fine-tune every source's model on every target")
    seeds: list[int] = Field([0, 1, 2], min_length=1, description="seeds of each transfer")
    evaluate_rows: Annotated[int, Field(gt=0)] = Field(1000, description="rows of the test split it is measured on")


class Transfer(Block):
    """The ranking of sources for targets. Both are data sets of the config."""

    targets: list[Name] = Field([], description="data sets to rank the sources for; [] ranks nothing")
    sources: list[Name] | None = Field(
        None, description="data sets to make ESMs of, else every text data set that is no target"
    )
    model: Name | None = Field(
        None, description="finetune model that sources are fine-tuned with, its backbone the base model; else the first"
    )
    base_name: str | None = Field(None, description="name of the base model in ESMs, else that of its backbone")
    pooling: Literal["auto", "pooler", "first", "mean", "last"] = Field(
        "auto", description="how tokens become one embedding; auto: by the type of the base model"
    )
    source_rows: Annotated[int, Field(gt=2)] = Field(10_000, description="rows of a source to learn from, at most")
    target_rows: Annotated[int, Field(gt=1)] = Field(1_000, description="rows of a target to rank by, at most")
    seed: int = Field(42, description="seed of the choice of rows, of fine-tuning sources and of intervals")
    esm: Esm = Field(default_factory=Esm, description="how the maps are fitted")
    tuned: list[Tuned] = Field([], description="sources that need no fine-tuning: {source: mrpc, folder: path}")
    registries: list[str] = Field([], description="folders of further ESMs, such as downloads from the hub")
    filter: str | None = Field(
        None, description='which ESMs to rank, by columns of the index: num_examples >= 1000 and language == "en"'
    )
    duplicates: Share = Field(0.05, description="a source that shares more of its texts with a target is flagged")
    bootstrap: Bootstrap = Field(default_factory=Bootstrap, description="intervals")
    baselines: list[Baseline] = Field(
        [], description="other methods to compare: logme, leep, nce, h_score, frozen (of the fine-tuned models), "
        "text_embedding, task_embedding, vocabulary, size"
    )  # fmt: skip
    fisher_rows: Annotated[int, Field(gt=0)] = Field(200, description="task_embedding: rows whose gradients count")
    ground_truth: GroundTruth = Field(default_factory=GroundTruth, description="real transfers")

    def tuned_folder(self, source: str) -> str | None:
        """Return the folder of a source that is fine-tuned already."""
        return next((block.folder for block in self.tuned if block.source == source), None)

    def sampling(self) -> dict[str, Any]:
        """Return how rows are chosen and pooled."""
        return {"seed": self.seed, "pooling": self.pooling}
