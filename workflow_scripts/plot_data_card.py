"""Draw class balance, sizes and a few examples of a data set."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import data_card, save_figure
    from datassay.storage import load_json, load_table

    save_figure(data_card(load_table(job.input.examples), load_json(job.input.card)), job.output[0])
