"""Load, check, split, and inject noise into a data set."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.config import Dataset
    from datassay.data import prepare
    from datassay.storage import save_json, save_table

    settings = Dataset.model_validate(job.params.settings)
    examples, card = prepare(settings, source_rows=job.params.get("source_rows", False))
    save_table(job.output.examples, examples)
    save_json(job.output.card, card)
