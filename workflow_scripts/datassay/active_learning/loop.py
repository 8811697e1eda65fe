"""The loop of one run: train, evaluate, find a subpool, pick, label; saved after every round."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.acquisition import Subpool
from datassay.active_learning.initial import initial_set
from datassay.active_learning.metrics import class_scores
from datassay.active_learning.query import Clock, Moment, find_subpool, pick
from datassay.active_learning.world import World
from datassay.checkpoints import Checkpoints, unit_done
from datassay.config import ActiveLearning, Head, QueryStrategy, Training
from datassay.randomness import generator

if TYPE_CHECKING:
    from datassay.active_learning._learner import Fit, Learner

logger = logging.getLogger(__name__)

KEPT_WEIGHTS = 2  # rounds whose weights are kept for a warm start


@dataclass
class Round:
    """What a round leaves. picked: rows labelled at its end, the first `oracle` of them by an oracle (initial set).

    Round 0 labels the initial set; round r trains on what rounds 0 .. r - 1 labelled. about: columns of rounds.parquet,
    seconds: of times.parquet. subpool: rows looked at, none of the whole pool.
    """

    picked: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    subpool: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    oracle: int = 0

    def arrays(self) -> dict[str, np.ndarray]:
        """Return a checkpoint record."""
        text = json.dumps({"about": self.about, "seconds": self.seconds, "oracle": self.oracle})
        return {"picked": self.picked, "subpool": self.subpool, "json": np.frombuffer(text.encode(), np.uint8)}

    @classmethod
    def read(cls, arrays: dict[str, np.ndarray]) -> "Round":
        """Return what `arrays` wrote."""
        return cls(arrays["picked"], subpool=arrays["subpool"], **json.loads(arrays["json"].tobytes()))


def active_learning(
    world: World,
    loop: ActiveLearning,
    strategy: QueryStrategy,
    model: Training,
    seeds: tuple[int, int, int],
    checkpoints: Checkpoints,
) -> list[Round]:
    """Run active learning to the end and return its rounds, the initial set first.

    seeds: of the order of the data, the model's initialisation (and dropout), and the initial set; the streams of
    subpools and acquisition depend on all three and on the round. Every round is a checkpoint record: a run that was
    killed goes on and ends with the rounds of an undisturbed one (but for the seconds). The pool may be smaller than
    the budget: then all of it is labelled in the end. Raises DatassayError for an initial set above the pool.

    Time per round: that of training, plus prediction on the subpool, test evaluation, and the search of neighbours of
    rows that were not searched for before. Memory O(N) masks beside data and model.
    """
    from datassay.active_learning._learner import Learner
    from datassay.training._trainer import reproducible

    with reproducible():
        vectors = world.vectors if isinstance(model, Head) else None
        learner = Learner(
            world.examples, vectors, world.labels, world.names, world.minority, model, loop, (seeds[0], seeds[1])
        )
        session = _Session(world, loop, strategy, learner, seeds, checkpoints)
        rounds = session.saved()
        while not rounds or len(rounds) == 1 or len(rounds[-1].picked):
            rounds.append(session.next(rounds) if rounds else session.first())
            checkpoints.save(_name("round", len(rounds) - 1), rounds[-1].arrays())
            checkpoints.drop(_name("weights", len(rounds) - 1 - KEPT_WEIGHTS))
            unit_done("round")
    return rounds


@dataclass(frozen=True)
class _Session:
    """All that stays the same over the rounds of a run."""

    world: World
    loop: ActiveLearning
    strategy: QueryStrategy
    learner: "Learner"
    seeds: tuple[int, int, int]
    checkpoints: Checkpoints

    def saved(self) -> list[Round]:
        """Return the rounds that were saved, without a gap from the first one, to the last that can be gone on from."""
        rounds: list[Round] = []
        while (arrays := self.checkpoints.load(_name("round", len(rounds)))) is not None:
            rounds.append(Round.read(arrays))
        while self.loop.warm_start and len(rounds) > 1 and self.weights(len(rounds) - 1) is None:
            rounds.pop()
        if rounds:
            logger.info("going on after round %d", len(rounds) - 1)
        return rounds

    def weights(self, number: int) -> dict[str, np.ndarray] | None:
        """Return the weights that a round ended with."""
        return self.checkpoints.load(_name("weights", number))

    def first(self) -> Round:
        """Return the initial set."""
        world, known = self.world, {"embeddings": self.world.vectors}
        if "surprisal" in world.of_train:
            known["surprisal"] = world.of_train["surprisal"][np.maximum(world.train_row, 0)]
        rng = generator(self.seeds[2], "initial set")
        rows, oracle = initial_set(world.pool, world.labels, world.minority, self.loop.initial, known, rng)
        return Round(rows, oracle=int(oracle.sum()))

    def next(self, rounds: Sequence[Round]) -> Round:
        """Train on all that is labelled, evaluate, and pick the next query; the last round picks nothing."""
        number, clock = len(rounds), Clock()
        labelled = np.concatenate([done.picked for done in rounds])
        budget = min(self.loop.budget, int(self.world.pool.sum()))
        n = min(self.loop.query_size, budget - len(labelled))
        with clock.part("fit"):
            fit = self.learner.fit(labelled, self.weights(number - 1) if self.loop.warm_start else None)
        about = _about(self.world, fit, labelled, number)
        if n == 0 or (number - 1) % self.loop.evaluate_every == 0:
            with clock.part("evaluation"):
                logits = fit.predict(self.world.test).logits
                about |= class_scores(logits, self.world.labels[self.world.test], self.world.names, self.world.minority)
        found, picked = Subpool(np.empty(0, np.int64)), np.empty(0, np.int64)
        if n:
            new, previous = (rounds[-1].picked, rounds[-1].subpool) if number > 1 else (labelled, None)
            now = Moment(labelled, new, previous, fit, n, clock, generator(*self.seeds, "query", number))
            found = find_subpool(self.world, self.strategy, now)
            picked = pick(self.world, self.strategy, self.learner, now, found.rows)
        if self.loop.warm_start:
            self.checkpoints.save(_name("weights", number), fit.weights())
        about |= _composition(self.world, found)
        _tell(about, clock, budget)
        return Round(picked, about, clock.seconds, found.rows if self.strategy.subpool != "whole" else found.rows[:0])


def _about(world: World, fit: "Fit", labelled: np.ndarray, number: int) -> dict[str, Any]:
    counts = np.bincount(world.labels[labelled], minlength=len(world.names))
    total = np.isin(world.labels[world.pool], world.minority).sum()
    return {
        "round": number,
        "n_labelled": len(labelled),
        **{f"n_{name}": int(count) for name, count in zip(world.names, counts, strict=True)},
        "minority_found": float(counts[world.minority].sum() / max(int(total), 1)),
        "steps": fit.steps,
        "epochs": fit.epochs,
        "best_epoch": fit.best_epoch,
        "stopping_score": fit.score,
    }


def _composition(world: World, found: Subpool) -> dict[str, Any]:
    counts = np.bincount(world.labels[found.rows], minlength=len(world.names))
    return {
        "subpool_size": len(found.rows),
        "subpool_random": found.random,
        "anchors": len(found.anchors),
        **{f"subpool_{name}": int(count) for name, count in zip(world.names, counts, strict=True)},
    }


def _name(kind: str, number: int) -> str:
    return f"{kind}{number:05d}"


def _tell(about: dict[str, Any], clock: Clock, budget: int) -> None:
    shown = f", minority F1 {about['minority_f1']:.3f}" if "minority_f1" in about else ""
    logger.info(
        "round %d: %d of %d labels, %.1f %% of the minority found%s (%.1f s)",
        *(about["round"], about["n_labelled"], budget, 100 * about["minority_found"], shown),
        sum(clock.seconds.values()),
    )
