"""Estimate the value of every train example on the valuation split."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.errors import DatassayError
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_table
    from datassay.valuation import estimate

    examples = load_table(job.input.examples, ["example_id", "split", "label"])
    vectors = load_array(job.input.embeddings, shape=(len(examples), None), memory_map=True)
    labels = examples["label"].to_numpy()
    train, valuation = split_rows(examples, "train"), split_rows(examples, "valuation")
    if not len(valuation):
        raise DatassayError(
            f"{job.input.examples}: no row is in split 'valuation', on which values are measured: set split.valuation "
            f"of data set '{job.wildcards.dataset}' above 0, or set valuation.estimators to [] and leave out the "
            "strategies that read values"
        )
    table = estimate(
        job.wildcards.estimator,
        vectors[train],
        labels[train],
        vectors[valuation],
        labels[valuation],
        **job.params.options,
    )
    table.insert(0, "example_id", examples["example_id"].to_numpy()[train])
    save_table(job.output["values"], table)
