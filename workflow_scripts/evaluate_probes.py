"""Compare the categories of held-out probes with what they are, and list those of the train rows."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.archaeology.records import category_table, load_trajectories, report
    from datassay.storage import load_table, save_json, save_table

    records = load_trajectories(job.input.trajectories)
    examples = load_table(job.input.examples, ["example_id", "split", "label"])
    family = load_table(job.input.family)
    categories = category_table(examples, load_table(job.input.probes), family, records, job.params.options)
    save_table(job.output.categories, categories)
    save_json(job.output.evaluation, report(categories, records, load_table(job.input.typicality)))
