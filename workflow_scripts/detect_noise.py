"""Compare MAP-D with other detectors of wrong labels."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import column_guide, known_noise, save_figure, train_rows
    from datassay.reporting.application_figures import noise_detection, noise_table
    from datassay.reporting.views import model_view
    from datassay.storage import load_table, save_csv

    view = train_rows(model_view(load_table(job.input.assay), job.wildcards.model, job.params.main_model))
    noise = known_noise(view)
    table = noise_table(view, noise, column_guide())
    save_csv(job.output.csv, table)
    name = f"{job.wildcards.dataset}, {job.wildcards.model}"
    save_figure(noise_detection(table, view, noise, name=name), job.output.figure)
