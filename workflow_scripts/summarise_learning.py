"""Compare the strategies of active learning over the seeds, and draw their curves, times and subpools."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.active_learning.comparison import compare_runs, compare_seconds, curves, latex, wide
    from datassay.reporting import learning_curves, learning_subpools, learning_times, save_figure
    from datassay.storage import load_json, load_table, save_csv, save_table, save_text

    runs = list(map(tuple, job.params.runs))
    rounds, times = (
        dict(zip(runs, map(load_table, files), strict=True)) for files in (job.input.rounds, job.input.times)
    )
    table = curves(rounds, times)
    table.attrs |= load_json(job.input.summaries[0])
    summary = compare_runs(table, job.params.budgets)
    save_table(job.output.table, summary)
    save_csv(job.output.csv, wide(summary))
    save_text(job.output.latex, latex(wide(summary)))
    save_csv(job.output.seconds, compare_seconds(table))
    name = f"{job.wildcards.dataset}, {job.wildcards.model}"
    save_figure(learning_curves(table, name=name), job.output.curves)
    save_figure(learning_times(table, name=name), job.output.times)
    save_figure(learning_subpools(table, name=name), job.output.subpools)
