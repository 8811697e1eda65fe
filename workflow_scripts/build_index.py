"""Build the approximate neighbour index, and measure its recall against exact neighbours."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.neighbors import HnswIndex, recall
    from datassay.randomness import generator
    from datassay.storage import load_array

    vectors = load_array(job.input.vectors, memory_map=True)
    index = HnswIndex.build(vectors, **job.params.settings)
    k = min(job.params.k, len(vectors))
    index.save(job.output.index, recall=recall(index, vectors, k, 1000, generator("recall")))
