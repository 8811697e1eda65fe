"""Compare the treatments of an application, seed by seed."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.archaeology.comparison import compare_treatments
    from datassay.archaeology.treatments import TREATMENTS
    from datassay.reporting import save_figure
    from datassay.reporting.application_figures import treatments
    from datassay.storage import load_table, save_csv

    application = job.wildcards.application
    results = dict(zip(TREATMENTS[application], map(load_table, job.input.results), strict=True))
    table = compare_treatments(application, results)
    save_csv(job.output.csv, table)
    name = f"{job.wildcards.dataset}, {job.wildcards.model}"
    save_figure(treatments(application, table, results, name=name), job.output.figure)
