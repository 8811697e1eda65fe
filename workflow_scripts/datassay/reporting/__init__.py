"""What people see: the wide table, what finds label noise, the most suspicious examples, and every figure.

Tables in, tables or matplotlib figures out; nothing here reads a file. pandas, matplotlib and seaborn load when used.
"""

from datassay.reporting.annotation_figures import annotation_agreement, annotation_balance, annotation_progress
from datassay.reporting.card_figure import data_card
from datassay.reporting.columns import column_guide, known_noise, numeric_columns, train_rows
from datassay.reporting.comparison import pruning_comparison
from datassay.reporting.curves import pruning_curves, training_curves
from datassay.reporting.detector_figures import cleaning_changes, detectors_figure, removal_figure
from datassay.reporting.galleries import suspicious_gallery
from datassay.reporting.learning_figures import learning_curves, learning_subpools, learning_times
from datassay.reporting.map_figure import data_map
from datassay.reporting.measure_figures import correlation, detection, distributions, value_histogram
from datassay.reporting.style import save_figure
from datassay.reporting.summary import final_score, largest_class, summary_text
from datassay.reporting.suspicious import list_suspicious, suspicion
from datassay.reporting.tables import join_assay, score_detection
from datassay.reporting.transfer_figures import ranking_figure, transfer_figure

__all__ = [
    "annotation_agreement",
    "annotation_balance",
    "annotation_progress",
    "cleaning_changes",
    "column_guide",
    "correlation",
    "data_card",
    "data_map",
    "detection",
    "detectors_figure",
    "distributions",
    "final_score",
    "join_assay",
    "known_noise",
    "largest_class",
    "learning_curves",
    "learning_subpools",
    "learning_times",
    "list_suspicious",
    "numeric_columns",
    "pruning_comparison",
    "pruning_curves",
    "ranking_figure",
    "removal_figure",
    "save_figure",
    "score_detection",
    "summary_text",
    "suspicion",
    "suspicious_gallery",
    "train_rows",
    "training_curves",
    "transfer_figure",
    "value_histogram",
]
