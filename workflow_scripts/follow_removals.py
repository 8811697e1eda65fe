"""Follow the test accuracy as train rows are removed by every value and measure, from either end."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.cleaning import removal_curves
    from datassay.reporting import column_guide, train_rows
    from datassay.reporting.detectors import detector_scores
    from datassay.reporting.views import model_view
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_table

    view = train_rows(model_view(load_table(job.input.assay), job.wildcards.model, job.params.main_model))
    examples = load_table(job.input.examples, ["example_id", "split", "label", "is_probe"])
    vectors = load_array(job.input.embeddings, shape=(len(examples), None), memory_map=True)
    labels = examples["label"].to_numpy()
    train = split_rows(examples, "train")
    train = train[~examples["is_probe"].to_numpy(dtype=bool)[train]]
    test = split_rows(examples, "test")
    test = test[labels[test] >= 0]
    curves = removal_curves(
        detector_scores(view, column_guide()),
        (vectors[train], labels[train]),
        (vectors[test], labels[test]),
        **job.params.settings,
    )
    save_table(job.output.curves, curves)
