"""Compute one family of measures on the train rows."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.registry import method
    from datassay.stages import compute_measure, load_inputs
    from datassay.storage import save_table

    train, arrays = load_inputs(dict(job.input.items()))
    about = method("measure", job.wildcards.family)
    save_table(
        job.output.family,
        compute_measure(about, arrays, train["example_id"], job.params.options, job.params.task),
    )
