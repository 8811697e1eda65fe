"""Transfer: on which data set to fine-tune a model first.

The library is light to import: torch and SciPy are loaded by the functions that need them.
"""

from datassay.transfer.logme import logme
from datassay.transfer.maps import EmbeddingSpaceMap, fit_esm
from datassay.transfer.ranking import rank

__all__ = ["EmbeddingSpaceMap", "fit_esm", "logme", "rank"]
