"""Compare the strategies at every ratio with random choice and with the full data."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.reporting import pruning_curves, save_figure
    from datassay.selection.pruning import summarise
    from datassay.storage import load_table, save_csv, save_table

    results = pd.concat([load_table(file) for file in job.input.results], ignore_index=True)
    table = summarise(results)
    save_table(job.output.table, table)
    save_csv(job.output.csv, table)
    save_figure(pruning_curves(table, name=f"{job.wildcards.dataset}, {job.wildcards.model}"), job.output.figure)
