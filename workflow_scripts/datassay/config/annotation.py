"""Annotation: which data sets people label, what they are asked next, and what becomes of their answers."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from datassay.config.blocks import LANGUAGE_PATTERN, Block, Name, Number, Share
from datassay.config.models import LanguageModel


class PoolFilters(Block):
    """What of the pool is not worth a person's time; each filter is a switch, and the files say what each found."""

    exact_duplicates: bool = Field(
        True,
        description="the same text up to case and white space (image: file) as in another split or earlier in the pool",
    )
    min_length: Annotated[int, Field(gt=0)] | None = Field(None, description="texts of fewer characters")
    max_length: Annotated[int, Field(gt=0)] | None = Field(None, description="texts of more characters")
    emoji: bool = Field(False, description="texts with an emoji")
    repetition: bool = Field(False, description="texts in which some part stands five times or more in a row")
    languages: list[Annotated[str, Field(pattern=LANGUAGE_PATTERN)]] | None = Field(
        None, min_length=1, description="texts that are surely in none of these languages (ISO 639-1, [en])"
    )
    max_perplexity: Annotated[Number, Field(gt=1)] | None = Field(
        None, description="texts above this perplexity (1000) under `annotation.language_model`"
    )
    near_duplicates: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        0.95,
        description="at least this cosine, in the vectors of the encoder, to a row of another split or an earlier one "
        "of the pool; null: off",
    )


class Annotation(Block):
    """Labels by people, round by round."""

    datasets: list[Name] = Field([], description="data sets whose pool is labelled; [] for none")
    model: Name | None = Field(
        None, description="model that suggests labels and says what to ask, else the data set's first"
    )
    strategy: Name = Field("infoverse", description="acquisition function that chooses what to ask next")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the strategy")
    batch_size: Annotated[int, Field(gt=0)] = Field(100, description="examples per round")
    extra: Share = Field(0.1, description="share drawn beyond that, to replace copies among what was drawn")
    seed: int = Field(0, description="seed of random choices")
    question: str = Field("Which label fits?", description="what annotators read")
    aggregation: Literal["majority", "mean", "dawid_skene"] | None = Field(
        None, description="how several answers become one label; null: majority, mean for a regression"
    )
    bins: list[Number] | None = Field(
        None,
        description="mean: people answer with numbers, whose mean these rising edges (classes - 1) cut into classes",
    )
    compare: bool = Field(
        True, description="where the true labels are known, follow random and uncertainty at the same budget"
    )
    image_url: str = Field(
        "/data/local-files/?d=",
        description="what Label Studio and MTurk need in front of the path of an image; the default serves local files",
    )
    language_model: LanguageModel | None = Field(None, description="causal language model of `filters.max_perplexity`")
    filters: PoolFilters = Field(default_factory=PoolFilters, description="what of the pool is never asked")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.bins is not None and self.aggregation != "mean":
            raise ValueError("bins: only aggregation: mean has use for them")
        if self.bins is not None and any(low >= high for low, high in zip(self.bins, self.bins[1:], strict=False)):
            raise ValueError(f"bins: {self.bins}, needs rising edges")
        if self.filters.max_perplexity is not None and self.language_model is None:
            raise ValueError("filters.max_perplexity needs annotation.language_model, a causal one")
        return self
