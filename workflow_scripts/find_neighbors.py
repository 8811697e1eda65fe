"""Find the exact nearest train rows of every train row, itself left out."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.neighbors import neighbors_within
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_arrays

    train = split_rows(load_table(job.input.examples, ["split"]), "train")
    ids, distances = neighbors_within(load_array(job.input.points, memory_map=True)[train], job.params.k)
    save_arrays(job.output.neighbors, ids=ids.astype("int32"), distances=distances)
