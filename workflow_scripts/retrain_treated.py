"""Retrain with one treatment of what the probes tell, with every seed."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    import pandas as pd

    from datassay.archaeology.records import load_treatment
    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.selection.pruning import check_measurable
    from datassay.storage import load_array, load_json, load_table, save_table
    from datassay.training import retrain

    examples = load_table(job.input.examples)
    check_measurable(examples)
    how = load_treatment(job.wildcards.treatment, examples, dict(job.input.items()), job.params.applied)
    key = fingerprint(*map(Path, job.input), dict(job.params.items()), dict(job.wildcards.items()), job.threads)
    progress = Checkpoints(Path(job.output.results).parent, key)
    results = retrain(
        examples,
        load_array(job.input.vectors) if job.input.get("vectors") else None,
        load_json(job.input.card)["label_names"],
        training_settings(job.params.settings),
        job.params.seeds,
        how.kept_rows,
        checkpoints=progress,
        guidance=how.guidance,
        every_epoch=job.wildcards.application == "prioritised_training",
        by_group=job.wildcards.application == "minority_groups",
    )
    save_table(job.output.results, pd.DataFrame(results).assign(**how.facts))
    progress.clear()
