"""What every block of the config is made of."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from datassay.errors import DatassayError

Modality = Literal["text", "image"]
Task = Literal["classification", "regression", "multiple_choice"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
LANGUAGE_PATTERN = "^[a-z]{2}$"
PATTERNS = {
    NAME_PATTERN: "letters (A to Z, a to z), digits, _ and -, a letter or digit first",
    LANGUAGE_PATTERN: "two small letters, such as en",
}  # what messages say instead of the regular expression
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, _ and -")]


def _number(value: Any) -> Any:
    """YAML reads 1e-4 (no dot) as text; take it for the number that was meant."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number)]
Jobs = Annotated[int, Field(ge=1, le=10_000)]
Share = Annotated[Number, Field(ge=0, lt=1)]


class Block(BaseModel):
    """A part of the config: unknown keys are refused, values are never silently converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def params(self, *leave_out: str) -> dict[str, Any]:
        """Return plain values for a rule's params; the text is the same however the YAML was ordered or written."""
        return self.model_dump(mode="json", exclude=set(leave_out) or None)


def one(blocks: list[Any], name: str) -> Any:
    """Return the block of a list that has this name."""
    for block in blocks:
        if block.name == name:
            return block
    raise DatassayError(f"no block named '{name}'")


def canonical(value: Any) -> Any:
    """Sort dictionaries and make whole floats plain, so that equal settings are equal text."""
    if isinstance(value, Mapping):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
