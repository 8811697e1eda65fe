"""Cleaning, and the comparison of all values and measures as detectors of wrong labels."""

from typing import Annotated, Literal

from pydantic import Field

from datassay.config.blocks import Block, Name, Number


class Cleaning(Block):
    """Which examples to drop as harmful, and what a model gains without them."""

    by: list[Name] | None = Field(
        None,
        description="estimators, or measure columns that name the end to which wrong labels tend; [] cleans nothing, "
        "null: by knn_shapley where valuation.estimators has it",
    )
    rules: list[Literal["threshold", "quantile"]] = Field(
        ["threshold", "quantile"],
        min_length=1,
        description="threshold: drop values <= `threshold` (estimators only); quantile: drop the share that serves a "
        "K-NN classifier best on one half of the valuation split; each is retrained",
    )
    threshold: Number = Field(0.0, description="values up to it are dropped by the rule threshold")
    shares: list[Annotated[Number, Field(gt=0, lt=1)]] = Field(
        [0.05, 0.1, 0.2, 0.3, 0.4, 0.5], description="shares of train rows that the rule quantile chooses from, and 0"
    )
    k: Annotated[int, Field(ge=1)] = Field(10, description="neighbours of the K-NN check")
    seed: int = Field(0, description="seed of the halves of the valuation split and of breaking ties")


class Detection(Block):
    """How values and measures are compared: known noise, and removal and addition curves."""

    utilities: list[Literal["knn", "ridge"]] = Field(
        ["knn", "ridge"],
        description="classifiers on the encoder's vectors whose test accuracy the curves follow; [] draws no curves",
    )
    steps: Annotated[int, Field(ge=2)] = Field(20, description="points of a curve: shares removed 0, 1/steps, ...")
    random_orders: Annotated[int, Field(ge=1)] = Field(5, description="random orders, whose mean is the control")
    k: Annotated[int, Field(ge=1)] = Field(10, description="neighbours of the utility knn")
    seed: int = Field(0, description="seed of the random orders and of breaking ties")
