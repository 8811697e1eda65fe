"""Metadata archaeology: the probes planted in a data set, and what is done with what they tell."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datassay.config.blocks import Block, Number, Share

Suite = Literal[
    "typical", "atypical", "random_outputs", "corrupted", "ordinary", "out_of_distribution", "random_inputs"
]
STRANGE: tuple[Suite, ...] = ("out_of_distribution", "random_inputs")  # suites whose content is not that of a row


Application = Literal["noise_detection", "noise_correction", "minority_groups", "prioritised_training", "ood_detection"]


class Archaeology(Block):
    """What is done with what the probes tell. Each application is a target of its own."""

    applications: list[Application] = Field(
        ["noise_detection"], description="those that a plain `snakemake` does too, on data sets with probes"
    )
    drop_above: Share = Field(
        0.5, description="rows whose noise_share is above it are dropped (noise_correction) or not preferred"
    )
    candidates: Annotated[int, Field(ge=2)] = Field(
        4, description="prioritised_training: rows that a step chooses from, for every one it takes"
    )
    group_reference: Annotated[int, Field(ge=1)] = Field(
        50, description="minority_groups: train rows of every group whose group may be looked at"
    )
    top_logits: Annotated[int, Field(ge=1)] = Field(10, description="ood_detection: logits of an epoch, highest first")
    k: Annotated[int, Field(ge=1)] = Field(20, description="minority_groups, ood_detection: nearest rows that vote")
    seed: int = Field(0, description="seed of the references of minority_groups and ood_detection")


class ScoreFile(Block):
    """Published or own scores that say which train rows are typical."""

    path: Annotated[str, Field(min_length=1)] = Field(
        description=".npz with scores (C-scores) or tr_mem (memorisation), and labels or tr_labels, filenames; or "
        ".csv, .parquet with an id and a score"
    )
    id: str = Field("id", description="csv, parquet: column of the ids")
    score: str = Field("score", description="csv, parquet: column of the scores")
    says: Literal["consistency", "memorisation"] = Field(
        "consistency",
        description="csv, parquet: what a high score means, typical (consistency) or atypical (memorisation)",
    )


class Probes(Block):
    """Train rows set apart as probes: trained on like all others, known to be of a kind, and never assayed."""

    suites: list[Suite] = Field(
        ["typical", "atypical", "random_outputs", "corrupted", "ordinary"],
        min_length=1,
        description="kinds of probes; ordinary ones are left as they are and serve the detection of label noise",
    )
    size: Annotated[int, Field(ge=4)] | None = Field(
        None, description="probes per suite; else 2 % of the train rows, at least 20 and at most 500"
    )
    reference: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.5, description="share of a suite that others are compared with; the rest evaluates"
    )
    seed: int = Field(0, description="seed of what is drawn")
    scores: ScoreFile | None = Field(
        None, description="what says which rows are typical; else the consistency under half-splits of the vectors"
    )
    splits: Annotated[int, Field(ge=2)] = Field(20, description="half-splits of that estimate")
    pixel_noise: Annotated[Number, Field(gt=0)] | None = Field(
        None,
        description="corrupted images: standard deviation of the noise, of 1; else 0.1 up to 64 pixels, 0.25 above",
    )
    token_noise: Annotated[Share, Field(gt=0)] = Field(
        0.3, description="corrupted texts: share of words that are dropped, moved or misspelt"
    )
    foreign: str | None = Field(
        None,
        description="texts out of distribution: a file of another data set's sentences, one a line (.txt) or in the "
        "column `text` (.csv, .parquet)",
    )
    unseen: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="rows out of distribution that are recorded but never learnt, for ood_detection; else as many as a "
        "suite has, where out_of_distribution or random_inputs is among the suites",
    )

    @model_validator(mode="after")
    def _suites_once(self) -> Self:
        if twice := [name for name in self.suites if self.suites.count(name) > 1]:
            raise ValueError(f"suites: '{twice[0]}' is named twice")
        if self.scores is not None and not {"typical", "atypical"} & set(self.suites):
            raise ValueError("scores: only the suites typical and atypical need them, leave scores out")
        if self.unseen and not set(STRANGE) & set(self.suites):
            raise ValueError(f"unseen: needs a suite of what is out of distribution, allowed: {', '.join(STRANGE)}")
        return self

    @property
    def estimates(self) -> bool:
        """Whether the typical rows are to be found from the vectors of the main encoder."""
        return self.scores is None and bool({"typical", "atypical"} & set(self.suites))
