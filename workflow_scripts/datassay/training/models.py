"""The small models of the head, cnn and resnet recipes: HeadClassifier, CnnClassifier, ResNetClassifier, their configs.

`HeadClassifier.from_pretrained(folder)` loads what a training job saved. They live in `_models.py`, which needs torch;
this module loads it when a name is first asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datassay.training._models import (
        CnnClassifier,
        CnnConfig,
        HeadClassifier,
        HeadConfig,
        ResNetClassifier,
        ResNetConfig,
    )

__all__ = ["CnnClassifier", "CnnConfig", "HeadClassifier", "HeadConfig", "ResNetClassifier", "ResNetConfig"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from datassay.training import _models

    return getattr(_models, name)
