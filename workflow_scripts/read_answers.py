"""Read and check the answers of one file."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.annotation.answers import Asked, read_answers
    from datassay.storage import load_json, load_table, save_table

    examples = load_table(job.input.examples, ["example_id", "split"])
    names = [] if job.params.numbers else load_json(job.input.card)["label_names"]
    asked = Asked(dict(zip(examples["example_id"], examples["split"], strict=True)), names)
    save_table(job.output.answers, read_answers(Path(job.input.file), asked, map(Path, job.params.others)))
