"""Nearest neighbours: exact by blocked matrix products, approximate by an HNSW graph whose recall is measured."""

from datassay.neighbors.exact import METRICS, Metric, check_metric, exact_neighbors, neighbors_within, thread_count
from datassay.neighbors.hnsw import HnswIndex, recall

__all__ = [
    "METRICS",
    "HnswIndex",
    "Metric",
    "check_metric",
    "exact_neighbors",
    "neighbors_within",
    "recall",
    "thread_count",
]
