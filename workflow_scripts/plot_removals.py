"""Draw the removal curves of every detector."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import removal_figure, save_figure
    from datassay.storage import load_table

    name = f"{job.wildcards.dataset}, {job.wildcards.model}"
    save_figure(removal_figure(load_table(job.input.curves), job.wildcards.utility, name=name), job.output.figure)
