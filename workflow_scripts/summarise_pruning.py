"""Compare the strategies at every ratio with random choice and with the full data."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.reporting import pruning_comparison, pruning_curves, save_figure
    from datassay.selection.comparison import absent_strategies, compare
    from datassay.storage import load_table, save_csv, save_table

    results = pd.concat([load_table(file) for file in job.input.results], ignore_index=True)
    table = absent_strategies(compare(results, job.params.metric), job.params.left_out.items())
    save_table(job.output.table, table)
    save_csv(job.output.csv, table)
    name = f"{job.wildcards.dataset}, {job.wildcards.model}"
    save_figure(pruning_comparison(table, job.params.metric, name=name), job.output.comparison)
    save_figure(pruning_curves(table, job.params.metric, name=name), job.output.curves)
