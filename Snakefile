"""Datassay: assay training data.

Set what to do in config.yaml, then run `snakemake` (everything) or one of the targets below.
"""

import signal
import sys
from pathlib import Path
from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/probes.smk"
include: "rules/embedding.smk"
include: "rules/training.smk"
include: "rules/meta_information.smk"
include: "rules/archaeology.smk"
include: "rules/applications.smk"
include: "rules/map.smk"
include: "rules/valuation.smk"
include: "rules/pruning.smk"
include: "rules/cleaning.smk"
include: "rules/annotation.smk"
include: "rules/transfer.smk"
include: "rules/active_learning.smk"
include: "rules/report.smk"


report: "report/workflow.rst"


localrules:
    all,
    data,
    embedding,
    training,
    meta_information,
    map,
    valuation,
    pruning,
    cleaning,
    detection,
    archaeology,
    annotate,
    transfer,
    active_learning,
    noise_detection,
    noise_correction,
    minority_groups,
    prioritised_training,
    ood_detection,
    report,


rule all:
    """Everything the config asks for."""
    default_target: True
    input:
        rules.data.input,
        rules.embedding.input,
        rules.training.input,
        rules.meta_information.input,
        rules.map.input,
        rules.valuation.input,
        rules.pruning.input,
        rules.cleaning.input,
        rules.detection.input,
        rules.archaeology.input,
        rules.annotate.input,
        rules.transfer.input,
        rules.active_learning.input,
        [application_files(name) for name in CONFIG.archaeology.applications],
        rules.report.input,
        path("config_used"),


onsuccess:
    show_summary()
