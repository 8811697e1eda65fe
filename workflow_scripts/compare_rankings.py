"""Hold every ranking against the real transfers."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import save_figure, transfer_figure
    from datassay.storage import save_csv, save_table, save_text
    from datassay.transfer.evaluation import compare
    from datassay.transfer.gathering import costs_of, evaluation_page, rankings_of, truth_of

    files = job.input
    truth, base = truth_of(files.transfers, job.params.base, job.params.regressions)
    rankings = rankings_of(files.rankings, files.baselines, job.params.esms)
    costs = costs_of(files.embedding_times, files.ranking_times, files.baseline_times, files.index)
    table = compare(rankings, truth, costs)
    save_table(job.output.table, table)
    save_csv(job.output.csv, table)
    save_text(job.output.markdown, evaluation_page(table, truth, base))
    save_figure(transfer_figure(table, rankings, truth, base), job.output.figure)
