"""Active learning: which examples of a large pool to label next, simulated with labels that are known."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from datassay.config.blocks import Block, Name, Number
from datassay.config.models import LanguageModel

Seed = Annotated[int, Field(ge=0)]
Above0 = Annotated[int, Field(gt=0)]
SubpoolKind = Literal["whole", "random_subset", "seals", "anchoral", "anchoral_sampling"]
AnchorMethod = Literal["kmeans++", "kmeans", "random", "entropy", "all"]
Ablated = Literal["anchors", "majority_anchors", "neighbors", "size", "max_search_size"]


class QueryStrategy(Block):
    """How the examples of a query are found: a subpool of the pool, and an acquisition function on it."""

    name: Name = Field(description="its name in paths and figures")
    base: Name = Field(description="acquisition function that picks from the subpool, see methods.md")
    subpool: SubpoolKind = Field(
        "whole",
        description="whole: the pool itself; random_subset: `size` of it at random; seals: nearest neighbours of all "
        "that is labelled; anchoral: the `size` most similar to the anchors of every class; anchoral_sampling: as many "
        "drawn by that similarity",
    )
    size: Above0 = Field(10_000, description="rows of a subpool at most (random_subset, anchoral, anchoral_sampling)")
    neighbors: Above0 = Field(50, description="pool rows retrieved per anchor, or per labelled row (seals)")
    anchors: Above0 = Field(10, description="anchors of a minority class")
    anchor_method: AnchorMethod = Field("kmeans++", description="how they are chosen among its labelled rows")
    majority_anchors: Above0 | None = Field(None, description="anchors of any other class, else as `anchors`")
    majority_method: AnchorMethod | None = Field(None, description="how they are chosen, else as `anchor_method`")
    max_search_size: Above0 | None = Field(
        None, description="rows retrieved in all: `neighbors` is at most this divided by the number of anchors"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="options of the acquisition function: {factor: 3} of tyrogue"
    )


class Ablation(Block):
    """One setting of a strategy at several values; each is run and compared as a strategy of its own."""

    strategy: Name = Field(description="name of the strategy")
    setting: Ablated = Field(description="what is varied; anchors: of all classes alike")
    values: list[Above0] = Field(min_length=1, description="its values; the run is named strategy-setting-value")


class Initial(Block):
    """The first labelled set."""

    size: Above0 = Field(100, description="examples")
    method: Literal["random", "alps", "embedding_kmeans"] = Field(
        "random",
        description="random; alps: by what surprises a masked language model; embedding_kmeans: nearest to k-means "
        "centres of the encoder's vectors",
    )
    per_minority: Annotated[int, Field(ge=0)] = Field(
        5,
        description="examples of every minority class that are put into it by an oracle, as marked in the results; 0 "
        "for none",
    )

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.per_minority > self.size:
            raise ValueError(f"per_minority {self.per_minority} is above size {self.size}, lower it")
        return self


class Stopping(Block):
    """When a round's training ends early, and which epoch counts."""

    watch: Literal["held_out", "train", "none"] = Field(
        "held_out",
        description="held_out: a part of the labelled set that is not learnt from; train: what is learnt from, as in "
        "the code of AnchorAL; none: the last epoch counts",
    )
    share: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.2, description="share of the labelled set that is held out, of every class alike"
    )
    metric: Literal["loss", "macro_f1", "minority_f1"] = Field("loss", description="what must improve")
    patience: Above0 = Field(3, description="epochs without improvement after which training ends")


class Surprise(LanguageModel):
    """What surprises a masked language model in a text, token by token."""

    share: Annotated[Number, Field(gt=0, le=1)] = Field(0.15, description="share of the tokens that are looked at")
    seed: int = Field(0, description="seed of which ones")


class ActiveLearning(Block):
    """Simulated active learning: query the labels of a pool, retrain, repeat."""

    strategies: list[QueryStrategy] = Field([], description="strategies to compare; [] runs no active learning")
    ablations: list[Ablation] = Field([], description="variations of them")
    datasets: list[Name] | None = Field(None, description="data sets, else all of task classification")
    models: list[Name] | None = Field(None, description="models, else those of the data set")
    seeds: list[Seed | list[Seed]] = Field(
        [0, 1, 2],
        min_length=1,
        description="one run per entry: a number, or three for the order of the data, the model's initialisation and "
        "the initial set: [0, 1, 2]",
    )
    query_size: Above0 = Field(25, description="labels asked for per round")
    budget: Above0 = Field(5000, description="labels in the end, the initial ones included")
    initial: Initial = Field(default_factory=Initial, description="first labelled set")
    min_steps: Annotated[int, Field(ge=0)] = Field(
        100, description="a round trains for max(min_steps, epochs of the model * batches) steps, unless it ends early"
    )
    warm_start: bool = Field(False, description="go on from the weights of the round before, else start anew")
    stopping: Stopping = Field(default_factory=Stopping, description="early stopping")
    evaluate_every: Above0 = Field(1, description="rounds between evaluations on the test split; the last always is")
    search: Literal["exact", "hnsw"] = Field(
        "exact", description="neighbours: exact, or by the encoder's index, whose recall stands beside it"
    )
    ensemble: Annotated[int, Field(ge=2)] = Field(
        3, description="models whose dynamics the acquisition infoverse reads"
    )
    alps: Surprise | None = Field(None, description="masked language model that alps goes by")
    budgets: list[Above0] | None = Field(
        None, description="labelled sizes at which strategies are compared, else four equal steps to the budget"
    )
    analysis: bool = Field(
        False,
        description="also say how diverse and how uncertain the picks are, under a model trained on all train rows",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for seed in self.seeds:
            if isinstance(seed, list) and len(seed) != 3:
                raise ValueError(f"seeds: {seed} has {len(seed)} numbers, a seed is one number or three")
        if self.budget < self.initial.size:
            raise ValueError(f"budget {self.budget} is below initial.size {self.initial.size}, raise it")
        return self
