"""Find what of the pool is not worth a person's time."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.annotation.filters import filter_pool
    from datassay.config import PoolFilters
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_json, save_table

    examples = load_table(job.input.examples)
    rows = split_rows(examples, "pool")
    vectors = load_array(job.input.embeddings, memory_map=True) if job.input.get("embeddings") else None
    likelihood = None
    if job.input.get("log_likelihood"):
        scored = split_rows(load_table(job.input.source_examples, ["split"]), "pool")
        likelihood = pd.Series(load_array(job.input.log_likelihood, shape=(len(scored),)), scored)[rows].to_numpy()
    removed, counts = filter_pool(examples, PoolFilters.model_validate(job.params.settings), vectors, likelihood)
    ids = examples["example_id"].to_numpy()[rows]
    save_table(job.output.pool, pd.DataFrame({"row": rows, "example_id": ids, "removed_by": removed}))
    save_json(job.output.filters, {"pool": len(rows), "left": int((removed == "").sum()), "filters": counts})
