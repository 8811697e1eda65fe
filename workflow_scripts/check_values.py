"""Ask the stop rules whether the shards so far are enough."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.registry import method
    from datassay.storage import save_json
    from datassay.valuation.sampling import Stop, leading, load_shard

    about = method("estimator", job.wildcards.estimator)
    _, state = leading(about, [load_shard(file) for file in job.input.shards], Stop(**job.params.stop))
    save_json(job.output.status, state)
