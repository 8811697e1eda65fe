"""Find the exact nearest neighbours of every example, itself left out."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.neighbors import exact_neighbors
    from datassay.storage import load_array, save_arrays

    vectors = load_array(job.input.vectors, memory_map=True)
    k = min(job.params.k, len(vectors) - 1)
    ids, distances = exact_neighbors(vectors, vectors, k, exclude_self=True)
    save_arrays(job.output.neighbors, ids=ids, distances=distances)
