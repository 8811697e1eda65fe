"""Score every measure and value as a detector of the known label noise."""

from datassay.step import step
from snakemake.script import snakemake

with step(snakemake) as job:
    from datassay.reporting import column_guide, known_noise, model_view, score_detection, train_rows
    from datassay.storage import load_table, save_table

    view = train_rows(model_view(load_table(job.input.assay), job.wildcards.model, job.params.main_model))
    save_table(job.output.detection, score_detection(view, known_noise(view), column_guide()))
