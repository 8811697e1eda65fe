"""Draw the figures of one model on one data set."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay import reporting
    from datassay.reporting.views import model_view
    from datassay.storage import load_table, read_csv

    name = f"{job.wildcards.dataset}, {job.wildcards.model}"
    view = reporting.train_rows(model_view(load_table(job.input.assay), job.wildcards.model, job.params.main_model))
    examples = load_table(job.input.examples)
    wrong = reporting.known_noise(view)
    suspicious = read_csv(job.input.suspicious)
    metrics = pd.concat([load_table(file) for file in job.input.metrics], ignore_index=True)
    draw = {
        "data_map": lambda: reporting.data_map(view, wrong, name=name),
        "training_curves": lambda: reporting.training_curves(metrics, job.params.metric, name=name),
        "distributions": lambda: reporting.distributions(view, wrong, name=name),
        "correlation": lambda: reporting.correlation(view, name=name),
        "detection": lambda: reporting.detection(load_table(job.input.detection), name=name),
        "suspicious": lambda: reporting.suspicious_gallery(suspicious, examples, name=name),
        "values": lambda: reporting.value_histogram(view, wrong, name=name),
    }
    for figure, function in draw.items():
        reporting.save_figure(function(), job.output[figure])
