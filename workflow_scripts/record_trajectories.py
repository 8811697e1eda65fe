"""Take the losses of train rows and probes after every epoch from the recorded logits."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.archaeology.records import trajectory_arrays
    from datassay.storage import load_array, load_table, save_arrays

    examples = load_table(job.input.examples, ["example_id", "split", "label"])
    logits = [load_array(file, shape=(None, len(examples), None), memory_map=True) for file in job.input.logits]
    save_arrays(job.output.trajectories, **trajectory_arrays(examples, load_table(job.input.probes), logits))
