"""Find the exact nearest train rows of every train row, itself left out, or of one job's share, or join the shares."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.neighbors import neighbors_within
    from datassay.shards import Part, gathered_members
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_arrays

    if job.input.get("shards"):
        found = gathered_members(job.input.shards, "ids", "distances")
    else:
        train = split_rows(load_table(job.input.examples, ["split"]), "train")
        points = load_array(job.input.points, memory_map=True)[train]
        ids, distances = neighbors_within(points, job.params.k, Part(*job.params.get("part", ())))
        found = {"ids": ids.astype("int32"), "distances": distances}
    save_arrays(job.output.neighbors, **found)
