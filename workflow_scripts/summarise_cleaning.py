"""Compare the retrained models with those of the full data, seed by seed."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.cleaning import by_seed, summarise
    from datassay.reporting import cleaning_changes, save_figure
    from datassay.storage import load_json, load_table, save_csv, save_table

    decisions = [load_json(file) for file in job.input.decisions]
    seeds = by_seed(load_table(job.input.full), [load_table(file) for file in job.input.cleaned])
    table = summarise(seeds, {(about["column"], about["rule"]): about for about in decisions})
    save_table(job.output.table, table)
    save_csv(job.output.csv, table)
    save_csv(job.output.seeds, seeds)
    name = f"{job.wildcards.dataset}, {job.wildcards.model}"
    save_figure(cleaning_changes(table, seeds, job.params.metric, name=name), job.output.figure)
