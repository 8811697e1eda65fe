"""Turn the shards of a sampled estimator into values and standard errors."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.registry import method
    from datassay.stages import split_rows
    from datassay.storage import load_table, save_table
    from datassay.valuation import values_table
    from datassay.valuation.sampling import Stop, leading, load_shard, summary

    about = method("estimator", job.wildcards.estimator)
    merged, state = leading(about, [load_shard(file) for file in job.input.shards], Stop(**job.params.stop))
    examples = load_table(job.input.examples, ["example_id", "split"])
    ids = examples["example_id"].iloc[split_rows(examples, "train")].reset_index(drop=True)
    table = values_table(about, summary(about, merged), len(ids))
    table.insert(0, "example_id", ids)
    table.attrs["sampling"] = state
    save_table(job.output["values"], table)
