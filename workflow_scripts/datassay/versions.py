"""Version numbers of the stages; they stand in the params of their rules, so that raising one re-runs its jobs.

Snakemake does not see edits of library code. Raise the number of a stage when its results change;
tests/unit/test_versions.py holds a hash of each stage's source and says when a number was forgotten.
"""

STAGES: dict[str, tuple[int, tuple[str, ...]]] = {
    "prepare_dataset": (1, ("data",)),
    "embed": (1, ("encoders", "data/images.py")),
    "build_index": (1, ("neighbors.py",)),
    "find_neighbors": (1, ("neighbors.py",)),
    "train": (1, ("training", "data/images.py")),
    "score_likelihood": (1, ("measures/likelihood.py",)),
    "join_infoverse": (1, ("measures/infoverse.py",)),
    "retrain": (1, ("training", "data/images.py")),
    "summarise_pruning": (1, ("selection/pruning.py",)),
    "report": (1, ("reporting",)),
}


def version(stage: str) -> int:
    """Return the version of a stage."""
    return STAGES[stage][0]
