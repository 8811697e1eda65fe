"""How diverse and how uncertain the picks of a strategy are, as ALPS was analysed."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from datassay.acquisition.uncertainty import entropies
from datassay.active_learning.metrics import probabilities

if TYPE_CHECKING:
    import pandas as pd

TOKEN = re.compile(r"\w+")


class Vocabulary:
    """The words of all texts: how many texts hold each, and which ones a text holds."""

    def __init__(self, texts: Iterable[str]) -> None:
        numbers: dict[str, int] = {}
        self.words = [
            np.array([numbers.setdefault(word, len(numbers)) for word in sorted(set(TOKEN.findall(text.lower())))], int)
            for text in texts
        ]
        self.holding = self._count(range(len(self.words)), len(numbers))

    def _count(self, texts: Iterable[int], size: int) -> np.ndarray:
        found = [self.words[text] for text in texts]
        return np.bincount(np.concatenate(found) if found else np.empty(0, int), minlength=size)

    def diversity(self, chosen: np.ndarray) -> float:
        """Return the Jaccard index of the words of the chosen texts (int [k]) and those of all others; 0 of no words.

        High: the chosen say much of what is said elsewhere. Source: Yuan et al., EMNLP 2020, section 5.
        """
        inside = self._count(chosen.tolist(), len(self.holding))
        both, union = (inside > 0) & (inside < self.holding), self.holding > 0
        return float(both.sum() / max(union.sum(), 1))


def analyse(
    examples: "pd.DataFrame", logits: np.ndarray, picks: Mapping[tuple[str, str], "pd.DataFrame"]
) -> "pd.DataFrame":
    """Return per strategy, seed and round: diversity and mean_entropy (nats) of all that was picked by then.

    examples: all rows. logits: [N, C] of a model that was trained on all train rows. picks: (strategy, seed) -> as
    `picked_table` returns it. The initial set counts as picked, in round 0. Diversity is left out for images.
    Time O(tokens) once and O(words + tokens picked) per round.
    """
    import pandas as pd

    train = (examples["split"] == "train").to_numpy()
    place = np.cumsum(train) - 1
    words = Vocabulary(examples.loc[train, "text"].fillna("").astype(str)) if "text" in examples else None
    uncertain = entropies(probabilities(logits))
    found = []
    for (strategy, seed), table in picks.items():
        for number in range(int(table["round"].max()) + 1):
            rows = table.loc[table["round"] <= number, "row"].to_numpy()
            about = {"strategy": strategy, "seed": seed, "round": number, "n_picked": len(rows)}
            about |= {"diversity": words.diversity(place[rows])} if words else {}
            found.append(about | {"mean_entropy": float(uncertain[rows].mean())})
    return pd.DataFrame(found)
