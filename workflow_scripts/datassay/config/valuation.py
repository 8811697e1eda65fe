"""Data values: which estimators, and how much work the sampled ones may do."""

from typing import Annotated, Any

from pydantic import Field

from datassay.config.blocks import Block, Name, Number

Above0 = Annotated[Number, Field(gt=0)]


class SamplingStop(Block):
    """When enough is known; each rule counts by itself, null leaves it out."""

    rank_correlation: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        0.95, description="Spearman's correlation between the values of two halves of the work, at least"
    )
    standard_error: Above0 | None = Field(None, description="standard error of every value, at most")
    seconds: Above0 | None = Field(
        None, description="seconds of work of all shards together; results then depend on the machine"
    )


class Sampling(Block):
    """How much work a sampled estimator does. A unit is a permutation; of banzhaf and ame 100 subsets."""

    budget: Annotated[int, Field(gt=0)] = Field(
        200, description="units at most, rounded up to whole shards; raising it only adds shards"
    )
    per_shard: Annotated[int, Field(gt=0)] = Field(20, description="units per shard; a shard is a job")
    at_once: Annotated[int, Field(gt=0)] = Field(
        4, description="shards that may run side by side; the next ones wait until the stop rules were asked. Results "
        "do not depend on it"
    )  # fmt: skip
    seed: int = Field(0, description="seed of the random streams")
    max_rows: Annotated[int, Field(gt=0)] = Field(
        5000, description="train rows above which estimators that train again and again are refused"
    )
    stop: SamplingStop = Field(default_factory=SamplingStop, description="when to end before the budget is used up")


class Valuation(Block):
    """The data values to estimate."""

    estimators: list[Name] = Field(["knn_shapley"], description="estimators; each is one file")
    sampling: Sampling = Field(default_factory=Sampling, description="work of the sampled estimators")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="options of an estimator: {knn_shapley: {k: 10}, tmc_shapley: {utility: ridge}}; utility: knn, "
        "logistic, ridge, or model, which retrains the model itself for every coalition",
    )
