"""Lay out the train rows in two dimensions."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.mapping import lay_out
    from datassay.stages import load_inputs
    from datassay.storage import save_table

    train, arrays = load_inputs(dict(job.input.items()))
    points, *neighbors = arrays.values()
    x, y = lay_out(points, tuple(neighbors) or None, **job.params.settings).T
    save_table(job.output.map, train[["example_id"]].assign(x=x, y=y))
