"""Estimate the value of every train example on the valuation split."""

from datassay.step import step
from snakemake.script import snakemake

with step(snakemake) as job:
    from datassay.registry import method
    from datassay.stages import estimate_values
    from datassay.storage import load_array, load_table, save_table

    examples = load_table(job.input.examples, ["example_id", "split", "label"])
    vectors = load_array(job.input.embeddings, shape=(len(examples), None), memory_map=True)
    about = method("estimator", job.wildcards.estimator)
    save_table(job.output["values"], estimate_values(about, examples, vectors, job.params.options))
