"""List the train examples that are most likely mislabelled, with a suggested label."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import list_suspicious
    from datassay.reporting.views import model_view
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_json, load_table, save_csv

    view = model_view(load_table(job.input.assay), job.wildcards.model, job.params.main_model)
    logits = load_array(job.input.logits, shape=(None, len(view), None), memory_map=True)
    # of all epochs: at the end a model may have learnt wrong labels by heart
    mean = logits.mean(axis=0, dtype="float32")[split_rows(view, "train")]
    label_names = load_json(job.input.card)["label_names"]
    save_csv(job.output.suspicious, list_suspicious(view, len(view), label_names, mean))
