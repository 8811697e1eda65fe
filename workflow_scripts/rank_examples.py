"""Rank the train rows by one strategy, those to keep first."""

from datassay.step import step
from snakemake.script import snakemake

with step(snakemake) as job:
    import math

    import pandas as pd
    from datassay.randomness import generator
    from datassay.registry import method
    from datassay.stages import load_inputs, rank_rows
    from datassay.storage import save_table

    train, arrays = load_inputs(dict(job.input.items()))
    about = method("strategy", job.wildcards.strategy)
    n_select = math.ceil(len(train) * job.params.keep)
    rng = generator("strategy", about.name)
    rows = rank_rows(about, arrays, len(train), n_select, job.params.options, rng)
    ids = train["example_id"].to_numpy()[rows]
    save_table(job.output.ranking, pd.DataFrame({"rank": range(len(rows)), "row": rows, "example_id": ids}))
