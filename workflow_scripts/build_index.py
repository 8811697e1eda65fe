"""Build the approximate neighbour index and measure its recall."""

from datassay.step import step
from snakemake.script import snakemake

with step(snakemake) as job:
    from datassay.neighbors import HnswIndex
    from datassay.storage import load_array

    vectors = load_array(job.input.vectors, memory_map=True)
    HnswIndex.build(vectors, **job.params.settings, threads=job.threads).save(job.output.index, job.output.card)
