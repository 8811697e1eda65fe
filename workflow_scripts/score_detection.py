"""Score every measure and value as a detector of the known label noise."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import column_guide, known_noise, score_detection, train_rows
    from datassay.reporting.views import model_view
    from datassay.storage import load_table, save_table

    view = train_rows(model_view(load_table(job.input.assay), job.wildcards.model, job.params.main_model))
    save_table(job.output.detection, score_detection(view, known_noise(view), column_guide()))
