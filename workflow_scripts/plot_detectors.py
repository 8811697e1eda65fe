"""Draw the table of all detectors."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import detectors_figure, save_figure
    from datassay.storage import load_table

    save_figure(detectors_figure(load_table(job.input.table)), job.output.figure)
