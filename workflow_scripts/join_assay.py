"""Join every measure and value of every example into one wide table."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import join_assay
    from datassay.storage import load_json, load_table, save_csv, save_table, tables_by_model

    assay = join_assay(
        load_table(job.input.examples),
        tables_by_model(job.input.families),
        tables_by_model(job.input["values"]),
        job.params.main_model,
        load_json(job.input.card)["label_names"],
    )
    save_table(job.output.assay, assay)
    save_csv(job.output.csv, assay)
