"""Measures: functions of recorded arrays that give one number per example and column.

Pandas, SciPy and scikit-learn load inside the functions that need them.
"""

from datassay.measures._density import ppca_log_likelihood
from datassay.measures.dynamics import training_dynamics
from datassay.measures.infoverse import INFOVERSE_COLUMNS, join_families, quality, standardise, unit_rows
from datassay.measures.label_issues import confident_learning, label_quality, out_of_sample_probabilities
from datassay.measures.pretrained import pretrained_measures
from datassay.measures.regression import regression_dynamics
from datassay.measures.static import static_measures
from datassay.measures.uncertainty import ensemble_uncertainty, mc_dropout_uncertainty

__all__ = [
    "INFOVERSE_COLUMNS",
    "confident_learning",
    "ensemble_uncertainty",
    "join_families",
    "label_quality",
    "mc_dropout_uncertainty",
    "out_of_sample_probabilities",
    "ppca_log_likelihood",
    "pretrained_measures",
    "quality",
    "regression_dynamics",
    "standardise",
    "static_measures",
    "training_dynamics",
    "unit_rows",
]
