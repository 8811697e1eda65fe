"""Draw the figures of one model on one data set."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay import reporting
    from datassay.reporting.views import model_view
    from datassay.storage import load_table, read_csv

    examples = load_table(job.input.examples)
    metrics = pd.concat([load_table(file) for file in job.input.metrics], ignore_index=True)
    view = model_view(load_table(job.input.assay), job.wildcards.model, job.params.main_model)
    figures = {
        "data_map": lambda: reporting.data_map(view),
        "training_curves": lambda: reporting.training_curves(metrics),
        "distributions": lambda: reporting.distributions(view),
        "correlation": lambda: reporting.correlation(view),
        "detection": lambda: reporting.detection(load_table(job.input.detection)),
        "suspicious": lambda: reporting.suspicious_gallery(read_csv(job.input.suspicious), examples),
        "values": lambda: reporting.value_histogram(view, "knn_shapley"),
    }
    for name, draw in figures.items():
        reporting.save_figure(draw(), job.output[name])
