"""Say how diverse the picks of active learning are, and how uncertain a model trained on everything is of them."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.active_learning.analysis import analyse
    from datassay.storage import load_array, load_table, save_csv, save_table

    examples = load_table(job.input.examples)
    logits = load_array(job.input.logits, shape=(None, len(examples), None), memory_map=True)[-1]
    runs = map(tuple, job.params.runs)
    table = analyse(examples, logits, dict(zip(runs, map(load_table, job.input.picked), strict=True)))
    save_table(job.output.table, table)
    save_csv(job.output.csv, table)
