"""Leave-one-out, and the control that knows nothing."""

from typing import Any

import numpy as np

from datassay.compute import one_thread
from datassay.randomness import generator
from datassay.registry import estimator, method
from datassay.valuation.games import Game, feature_game
from datassay.valuation.sampling import Values, game_and_options


def loo(*data: Any, **game: Any) -> Values:
    """Return what the utility of all players loses without each of them, float64 [n]; exact, so the errors are 0.

    data: train_x [N, d], train_y [N], valid_x [V, d], valid_y [V], with the options of `feature_game` (utility, k,
    penalty); or one Game. knn looks at the k + 1 nearest rows of a point, ridge takes a row out by a rank-one update,
    logistic fits N times from the weights of all. Raises DatassayError as `feature_game`.
    """
    return leave_one_out(game_and_options(method("estimator", "loo"), data, game)[0])


@estimator(name="loo", version=1, source="Cook, Technometrics 1977 (leave-one-out)", game=feature_game)
def leave_one_out(game: Game) -> Values:
    """Utility of all rows less that of all but one; zero for most rows where the utility is an accuracy."""
    with one_thread():
        return Values(game.full - game.without_each(), np.zeros(game.players))


@estimator(name="random", version=1, source="uniform control, as in Jiang et al., OpenDataVal, NeurIPS 2023")
def random_values(
    train_x: np.ndarray, train_y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray, seed: int = 0
) -> Values:
    """Uniform random numbers: what a value has to beat to be worth its cost."""
    values = generator(seed, "random values").random(len(train_y))
    return Values(values, np.zeros(len(values)))
