"""One query: the subpool of a round, the arrays that an acquisition function names, and its picks."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.acquisition import (
    Anchors,
    Subpool,
    anchoral_subpool,
    choose,
    random_subset,
    seals_subpool,
    topped_up,
    whole_pool,
)
from datassay.acquisition.uncertainty import entropies
from datassay.active_learning.metrics import probabilities
from datassay.active_learning.world import World
from datassay.config import QueryStrategy
from datassay.registry import Method, method

if TYPE_CHECKING:
    from datassay.active_learning._learner import Fit, Learner

PARTS = ("search", "subpool", "prediction", "query", "fit", "evaluation")


class Clock:
    """Seconds spent in the parts of a round."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the block to a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started


@dataclass(frozen=True)
class Moment:
    """Where a run stands when it queries n labels.

    labelled: int64, all labelled rows; new: those since the subpool `previous` (None at first), whose rows SEALS keeps.
    """

    labelled: np.ndarray
    new: np.ndarray
    previous: np.ndarray | None
    fit: "Fit"
    n: int
    clock: Clock
    rng: np.random.Generator


def find_subpool(world: World, strategy: QueryStrategy, now: Moment) -> Subpool:
    """Return the subpool of a round, at least n rows where the pool has them."""
    pool = world.pool.copy()
    pool[now.labelled] = False
    searched = world.lists.seconds
    with now.clock.part("subpool"):
        match strategy.subpool:
            case "whole":
                found = whole_pool(pool)
            case "random_subset":
                found = random_subset(pool, strategy.size, now.rng)
            case "seals":
                found = seals_subpool(world.lists, pool, now.new, now.previous, k=strategy.neighbors)
            case _:
                found = _anchoral(world, strategy, now, pool)
        found = topped_up(found, pool, now.n, now.rng)
    now.clock.seconds["search"] += world.lists.seconds - searched
    now.clock.seconds["subpool"] -= world.lists.seconds - searched
    return found


def _anchoral(world: World, strategy: QueryStrategy, now: Moment, pool: np.ndarray) -> Subpool:
    labels = np.full(len(pool), -1)
    labels[now.labelled] = world.labels[now.labelled]
    minority = Anchors(strategy.anchor_method, strategy.anchors)
    majority = Anchors(strategy.majority_method or minority.method, strategy.majority_anchors or minority.number)
    uncertainty = None
    if "entropy" in (minority.method, majority.method):
        uncertainty = np.zeros(len(pool))
        uncertainty[now.labelled] = entropies(probabilities(now.fit.predict(now.labelled).logits))
    return anchoral_subpool(
        world.lists,
        labels,
        now.rng,
        pool=pool,
        minority=world.minority,
        minority_anchors=minority,
        majority_anchors=majority,
        k=strategy.neighbors,
        size=strategy.size,
        max_search_size=strategy.max_search_size,
        sampling=strategy.subpool == "anchoral_sampling",
        uncertainty=uncertainty,
    )


def pick(world: World, strategy: QueryStrategy, learner: "Learner", now: Moment, candidates: np.ndarray) -> np.ndarray:
    """Return the n rows of the candidates that the strategy's acquisition function picks, int64 [n]."""
    about = method("acquisition", strategy.base)
    with now.clock.part("prediction"):
        arrays = candidate_arrays(about, world, learner, now, candidates)
    with now.clock.part("query"):
        return candidates[choose(about, arrays, now.n, now.rng, strategy.options)]


def candidate_arrays(
    about: Method, world: World, learner: "Learner", now: Moment, candidates: np.ndarray
) -> Mapping[str, Any]:
    """Return the arrays that an acquisition function names, for some candidates, and nothing that it does not."""
    needed = set(about.inputs.values())
    arrays: dict[str, Any] = {"candidates": candidates}
    arrays |= {name: world.known(name, candidates) for name in needed & {"embeddings", "surprisal"}}
    if needed & {"probabilities", "features"}:
        outputs = now.fit.predict(candidates, features="features" in needed)
        arrays |= {"probabilities": probabilities(outputs.logits), "features": outputs.features}
    if "mc_logits" in needed:
        arrays["mc_logits"] = now.fit.dropout(candidates)
    if "labelled_features" in needed:
        arrays["labelled_features"] = now.fit.predict(now.labelled, features=True).features
    if "infoverse" in needed:
        from datassay.active_learning._ensemble import infoverse_arrays

        arrays |= infoverse_arrays(world, learner, candidates, now.labelled)
    return arrays
