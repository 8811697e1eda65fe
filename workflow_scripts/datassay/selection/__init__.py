"""Which examples to keep: every strategy is one nested ranking, of which each keep ratio is a prefix."""

from datassay.selection.coverage import ccs, k_center
from datassay.selection.dpp import dpp_ranking, log_det

__all__ = ["ccs", "dpp_ranking", "k_center", "log_det"]
