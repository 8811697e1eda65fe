"""Join the infoVerse columns of all families, and z-score them."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.measures import join_families, standardise
    from datassay.storage import load_table, save_array, save_table

    families = [load_table(file) for file in job.input.families]
    table = join_families(families)
    save_array(job.output.matrix, standardise(table))
    table.insert(0, "example_id", families[0]["example_id"].to_numpy())
    save_table(job.output.table, table)
