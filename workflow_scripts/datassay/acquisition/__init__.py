"""Which examples to label next: acquisition functions of candidates, and the subpools that candidates come from."""

from datassay.acquisition.anchors import ANCHOR_METHODS, AnchorMethod, Anchors, choose_anchors
from datassay.acquisition.choosing import choose
from datassay.acquisition.clusters import alps, bert_kmeans, ft_kmeans, tyrogue
from datassay.acquisition.coverage import core_set, infoverse
from datassay.acquisition.gradients import badge
from datassay.acquisition.lists import NeighborLists
from datassay.acquisition.subpools import (
    Subpool,
    anchoral_subpool,
    random_subset,
    seals_subpool,
    topped_up,
    whole_pool,
)
from datassay.acquisition.uncertainty import bald, entropy, least_confidence, margin

__all__ = [
    "ANCHOR_METHODS",
    "AnchorMethod",
    "Anchors",
    "NeighborLists",
    "Subpool",
    "alps",
    "anchoral_subpool",
    "badge",
    "bald",
    "bert_kmeans",
    "choose",
    "choose_anchors",
    "core_set",
    "entropy",
    "ft_kmeans",
    "infoverse",
    "least_confidence",
    "margin",
    "random_subset",
    "seals_subpool",
    "topped_up",
    "tyrogue",
    "whole_pool",
]
