"""List the train examples that are most likely mislabelled, with a suggested label."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import list_suspicious
    from datassay.reporting.views import model_view
    from datassay.storage import load_table, save_csv

    view = model_view(load_table(job.input.assay), job.wildcards.model, job.params.main_model)
    save_csv(job.output.suspicious, list_suspicious(view, len(view), label_names=[]))
