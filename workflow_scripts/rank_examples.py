"""Rank the train rows by one strategy, those to keep first."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.registry import method
    from datassay.selection.pruning import keep_count, rank
    from datassay.selection.scores import column_strategy
    from datassay.stages import load_inputs
    from datassay.storage import save_table

    train, arrays = load_inputs(dict(job.input.items()))
    name = job.wildcards.strategy
    about = column_strategy(name, **job.params.by_column) if job.params.by_column else method("strategy", name)
    ranking = rank(about, arrays, keep_count(job.params.keep, len(train)), job.params.seed, job.params.options)
    ranking["example_id"] = train["example_id"].to_numpy()[ranking["row"]]
    save_table(job.output.ranking, ranking)
