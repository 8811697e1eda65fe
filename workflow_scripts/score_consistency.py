"""Score how often a head that did not see a train row says its label."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.archaeology import consistency
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_table

    examples = load_table(job.input.examples, ["example_id", "split", "label"])
    rows = split_rows(examples, "train")
    vectors = load_array(job.input.vectors, shape=(len(examples), None), memory_map=True)[rows]
    labels = examples["label"].to_numpy()[rows]
    score, margin = consistency(vectors, labels, splits=job.params.splits, seed=job.params.seed)
    ids = examples["example_id"].iloc[rows].reset_index(drop=True)
    save_table(job.output.consistency, pd.DataFrame({"example_id": ids, "consistency": score, "margin": margin}))
