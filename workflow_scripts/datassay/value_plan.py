"""Which jobs the values of a config need: shards of sampled estimators, and what each of them reads.

Shards run in waves. Every shard of a wave waits for the status of the wave before it and does nothing where that says
that enough is known. So the graph of jobs is fixed, while work that is not needed is not done.
"""

import re
from typing import Any

from datassay.artefacts import path
from datassay.config import Config, one
from datassay.plan import encoder_of, options_of, retrain_model, seeds_of
from datassay.registry import methods
from datassay.valuation.games import FEATURE_UTILITIES, feature_game
from datassay.versions import version

MODEL_UTILITY = "model"
UTILITIES = (*FEATURE_UTILITIES, MODEL_UTILITY)


def wildcard(*, sampled: bool) -> str:
    """Return the wildcard `estimator` that matches the names of all sampled, or of all other, estimators."""
    names = [re.escape(name) for name, about in methods("estimator").items() if about.sampled == sampled]
    return "{estimator," + "|".join(names) + "}"


def shard_count(config: Config) -> int:
    """Return how many shards the budget pays for."""
    sampling = config.valuation.sampling
    return -(-sampling.budget // sampling.per_shard)


def shard_files(config: Config, number: int | None = None, **place: str) -> list[str]:
    """Return the first shards of an estimator, all by default."""
    total = shard_count(config)
    return [path("value_shard", **place, shard=s) for s in range(total if number is None else min(number, total))]


def wave_files(config: Config, wave: str, **place: str) -> list[str]:
    """Return the shards of a wave and of all before it."""
    return shard_files(config, (int(wave) + 1) * config.valuation.sampling.at_once, **place)


def shard_inputs(config: Config, shard: str, **place: str) -> dict[str, Any]:
    """Return what a shard reads: as its estimator, and as `status` that of the wave before, [] in the first wave."""
    wave = int(shard) // config.valuation.sampling.at_once
    return {**inputs(config, **place), "status": [path("value_status", **place, wave=wave - 1)] if wave else []}


def chooses_utility(estimator: str) -> bool:
    """Return whether an estimator plays the game of the features, whose option `utility` says what is learnt."""
    return methods("estimator")[estimator].game is feature_game


def trains_model(config: Config, estimator: str) -> bool:
    """Return whether an estimator's utility is the model itself, trained again for every coalition."""
    options = options_of(config, "estimator", estimator)
    return chooses_utility(estimator) and options["utility"] == MODEL_UTILITY


def inputs(config: Config, dataset: str, model: str, estimator: str) -> dict[str, str]:
    """Return what an estimator reads on a (data set, model)."""
    encoder = encoder_of(config, dataset, model)
    files = {"examples": path("examples", dataset=dataset)}
    files["embeddings"] = path("embeddings", dataset=dataset, encoder=encoder)
    if trains_model(config, estimator):
        files["card"] = path("card", dataset=dataset)
        trained = retrain_model(config, model)
        if trained.recipe == "head":
            files["vectors"] = path("embeddings", dataset=dataset, encoder=encoder_of(config, dataset, trained.name))
    return files


def game_params(config: Config, dataset: str, model: str, estimator: str) -> dict[str, Any]:
    """Return what says how an estimator works: its options, and the model that it trains if any."""
    params: dict[str, Any] = {"options": options_of(config, "estimator", estimator)}
    if trains_model(config, estimator):
        params["model"] = retrain_model(config, model).recipe_params()
        params["model_version"] = version("retrain")
        params["training_seed"] = seeds_of(config, one(config.datasets, dataset))[0]
    return params


def shard_params(config: Config) -> dict[str, Any]:
    """Return how much a shard does."""
    sampling = config.valuation.sampling
    return {"seed": sampling.seed, "units": sampling.per_shard, "seconds": sampling.stop.seconds}


def job_size(config: Config, model: str, estimator: str, threads: int) -> dict[str, int]:
    """Return threads and GPUs of a job: those of the model where it is trained, else the threads given."""
    trained = retrain_model(config, model)
    if trains_model(config, estimator):
        return {"threads": trained.threads, "gpu": trained.one_gpu}
    return {"threads": threads, "gpu": 0}
