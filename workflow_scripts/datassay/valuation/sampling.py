"""Sampled estimators in shards: units of work that add up, in any number of jobs, with the same result.

A unit is one call of the estimator: a permutation, or some subsets. It draws from a random stream of its own, keyed by
(seed, estimator, shard, unit), so that shards know nothing of each other. A shard holds the sums over its units apart
for even and odd ones, so that two independent halves can be compared.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from datassay.checkpoints import Checkpoints, unit_done
from datassay.errors import DatassayError, did_you_mean
from datassay.randomness import generator
from datassay.registry import Method, method
from datassay.valuation.games import Game, as_game

logger = logging.getLogger(__name__)

Shard = dict[str, np.ndarray]
RECORD = "record_"  # arrays with such names are kept row after row where others add up


class Values(NamedTuple):
    """Data values and their standard errors, float64 [n] each."""

    value: np.ndarray
    standard_error: np.ndarray


@dataclass(frozen=True)
class Stop:
    """When enough is known; each rule counts by itself, None leaves it out.

    rank_correlation: Spearman's between the values of two halves of the units, at least. standard_error: of every
    value, at most. seconds: of work, all shards together; the result then depends on the machine.
    """

    rank_correlation: float | None = None
    standard_error: float | None = None
    seconds: float | None = None


def sample(name: str, data: tuple[Any, ...], units: int, seed: int, options: Mapping[str, Any]) -> Values:
    """Return what a sampled estimator says after some units of work on a Game, or on four arrays."""
    about = method("estimator", name)
    game, own = game_and_options(about, data, options)
    return summary(about, run_shard(about, game, own, seed=seed, shard=0, units=units))


def game_and_options(about: Method, data: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[Game, dict[str, Any]]:
    """Return the game of a call and the options that are the estimator's own. Raises DatassayError for unknown ones."""
    if about.game is None:
        raise DatassayError(f"{about.name}: takes no game")
    check_options(about, options)
    given = {key: value for key, value in options.items() if key in about.game_options}
    own = {key: value for key, value in options.items() if key not in given}
    return as_game(data, about.game, given), own


def check_options(about: Method, options: Iterable[str]) -> None:
    """Raise DatassayError for an option that the estimator does not have."""
    for option in options:
        if option not in about.options:
            raise DatassayError(f"{about.name}: unknown option '{option}'{did_you_mean(option, about.options)}")


def empty_shard() -> Shard:
    """Return the shard of no work at all."""
    return {"units": np.zeros(2, dtype=np.int64), "evaluations": np.zeros(1, dtype=np.int64), "seconds": np.zeros(1)}


def run_shard(
    about: Method,
    game: Game,
    options: Mapping[str, Any],
    *,
    seed: int,
    shard: int,
    units: int,
    seconds: float | None = None,
    checkpoints: Checkpoints | None = None,
) -> Shard:
    """Do the units of one shard and return their sums.

    options: the estimator's own. seconds: end after the unit in which this time is over. With checkpoints a killed
    shard goes on after the last saved unit, and ends with the same bytes (those of `seconds` apart).
    """
    from datassay.compute import one_thread

    if units < 1:
        raise DatassayError(f"{about.name}: {units} units of work, at least 1 is needed")
    done = (checkpoints.load("units") if checkpoints else None) or empty_shard()
    clock = _Clock(float(done["seconds"][0]))
    with one_thread():
        for unit in range(int(done["units"].sum()), units):
            if seconds is not None and clock.spent >= seconds:
                break
            game.evaluations = 0
            answer = about.function(game, generator(seed, about.name, shard, unit), **options)
            done = merge([done, _as_shard(answer, unit % 2, game.evaluations)])
            if seconds is not None:
                done["seconds"] = np.array([clock.spent])
            if clock.message_due() or unit + 1 == units:
                logger.info("shard %d: %d/%d units, %s", shard, unit + 1, units, in_words(state(about, done)))
            if checkpoints and clock.save_due():
                checkpoints.save("units", done)
                clock.saved()
                unit_done("unit")
    return dict(sorted(done.items()))  # records come back in another order, and the file must not


class _Clock:
    """Says when to save (5 % of the time at most, but after the first unit) and when to say something."""

    def __init__(self, spent_before: float) -> None:
        self.started = self.told = time.monotonic()
        self.spent_before, self.next_save = spent_before, self.started

    @property
    def spent(self) -> float:
        """Seconds of work on this shard, those before a kill included."""
        return self.spent_before + time.monotonic() - self.started

    def message_due(self) -> bool:
        """Whether ten seconds are over since the last message."""
        due = time.monotonic() - self.told > 10
        self.told = time.monotonic() if due else self.told
        return due

    def save_due(self) -> bool:
        """Whether it is time to save; the save is taken to begin now."""
        self.saving_since = time.monotonic()
        return self.saving_since >= self.next_save

    def saved(self) -> None:
        """Note that the save is done."""
        now = time.monotonic()
        self.next_save = now + 20 * (now - self.saving_since)


def _as_shard(answer: Any, half: int, evaluations: int) -> Shard:
    """Return what one unit answered as the sums of a shard, its half first."""
    arrays = answer if isinstance(answer, dict) else {"sum": answer, "squares": np.square(answer)}
    shard = empty_shard()
    shard["units"][half], shard["evaluations"][0] = 1, evaluations
    for name, array in arrays.items():
        array = np.asarray(array)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DatassayError(f"an estimator answered with {array[~np.isfinite(array)][0]} in '{name}'")
        shard[name] = array if name.startswith(RECORD) else np.stack([array * (half == h) for h in (0, 1)])
    return shard


def load_shard(path: str) -> Shard:
    """Load the sums that a job saved. Raises DatassayError, naming the file, where it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DatassayError(f"{path}: cannot be read ({error}), delete it and run again") from error


def merge(shards: Iterable[Shard]) -> Shard:
    """Add shards up, in the order given."""
    total: Shard = {}
    for shard in shards:
        for name, array in shard.items():
            if name not in total:
                total[name] = array
            else:
                total[name] = np.concatenate([total[name], array]) if name.startswith(RECORD) else total[name] + array
    return total


def mean_of_draws(sums: Mapping[str, np.ndarray], units: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error of draws from their sum and sum of squares; NaN errors for one draw."""
    mean = sums["sum"] / units
    if units < 2:
        return mean, np.full(mean.shape, np.nan)
    variance = np.maximum(sums["squares"] - units * mean**2, 0) / (units - 1)
    return mean, np.sqrt(variance / units)


def summary(about: Method, shard: Shard) -> Values:
    """Return values and standard errors of all units of a shard, or of several that were merged."""
    sums = {name: a if name.startswith(RECORD) else a.sum(axis=0) for name, a in shard.items() if name not in _COUNTS}
    return Values(*(about.summary or mean_of_draws)(sums, int(shard["units"].sum())))


_COUNTS = empty_shard().keys()


def _half(about: Method, shard: Shard, half: int) -> np.ndarray:
    sums = {name: a[half] for name, a in shard.items() if name not in _COUNTS and not name.startswith(RECORD)}
    return (about.summary or mean_of_draws)(sums, int(shard["units"][half]))[0]


def state(about: Method, shard: Shard) -> dict[str, Any]:
    """Return how far the values are: units, evaluations, seconds, standard errors, rank correlation of the halves.

    What cannot be known yet (one unit, all values equal) is None.
    """
    known: dict[str, Any] = {
        "units": int(shard["units"].sum()),
        "evaluations": int(shard["evaluations"][0]),
        "seconds": float(shard["seconds"][0]),
        "mean_standard_error": None,
        "largest_standard_error": None,
        "rank_correlation": None,
    }
    if shard["units"].min() < 1:
        return known
    errors = summary(about, {name: a for name, a in shard.items() if not name.startswith(RECORD)}).standard_error
    if np.isfinite(errors).all():
        known |= {"mean_standard_error": float(errors.mean()), "largest_standard_error": float(errors.max())}
    return known | {"rank_correlation": _spearman(_half(about, shard, 0), _half(about, shard, 1))}


def _spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    from scipy.stats import rankdata

    if len(a) < 2 or not (np.ptp(a) > 0 and np.ptp(b) > 0):
        return None
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def in_words(known: Mapping[str, Any]) -> str:
    """Write a state as a part of a progress line."""
    text = f"{known['evaluations']} utilities"
    if known["mean_standard_error"] is not None:
        text += f", standard error {known['mean_standard_error']:.2g} (largest {known['largest_standard_error']:.2g})"
    if known["rank_correlation"] is not None:
        text += f", rank correlation of the halves {known['rank_correlation']:.3f}"
    return text


def leading(about: Method, shards: Sequence[Shard], stop: Stop) -> tuple[Shard, dict[str, Any]]:
    """Merge shards in order, until a stop rule holds or all are in; return them and their state.

    The state has the number of `shards` and, in `stopped_by`, the rule (None: none held). What comes after the first
    shard at which a rule holds is left out, so that the answer does not depend on how many ran side by side.
    """
    total: Shard = {}
    known: dict[str, Any] = {}
    for number, shard in enumerate(shards, 1):
        total = merge([total, shard])
        known = state(about, total) | {"shards": number}
        if reason := _reached(known, stop):
            logger.info("enough after shard %d of %d: %s; %s", number, len(shards), reason, in_words(known))
            return total, known | {"stopped_by": reason}
    logger.info("all %d shards: %s", len(shards), in_words(known))
    return total, known | {"stopped_by": None}


def _reached(known: Mapping[str, Any], stop: Stop) -> str | None:
    correlation, error = known["rank_correlation"], known["largest_standard_error"]
    if stop.rank_correlation is not None and correlation is not None and correlation >= stop.rank_correlation:
        return f"rank correlation {correlation:.3f} >= {stop.rank_correlation:g}"
    if stop.standard_error is not None and error is not None and error <= stop.standard_error:
        return f"largest standard error {error:.2g} <= {stop.standard_error:g}"
    if stop.seconds is not None and known["seconds"] >= stop.seconds:
        return f"{known['seconds']:.0f} s of work >= {stop.seconds:g}"
    return None
