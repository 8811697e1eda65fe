"""Retrain on the rows that cleaning keeps, with every seed."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    import pandas as pd

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.selection.pruning import check_measurable
    from datassay.storage import load_array, load_json, load_table, save_table
    from datassay.training import retrain

    examples = load_table(job.input.examples)
    check_measurable(examples)
    card = load_json(job.input.card)
    key = fingerprint(*map(Path, job.input), dict(job.params.items()), job.threads)
    progress = Checkpoints(Path(job.output.results).parent, key)
    results = retrain(
        examples,
        load_array(job.input.vectors) if job.input.get("vectors") else None,
        card["label_names"],
        training_settings(job.params.settings),
        job.params.seeds,
        load_table(job.input.kept, ["row"])["row"].to_numpy(),
        card["task"],
        progress,
    )
    save_table(job.output.results, pd.DataFrame(results).assign(column=job.wildcards.column, rule=job.wildcards.cut))
    progress.clear()
