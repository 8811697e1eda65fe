"""Retrain on the kept rows with every seed."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    import pandas as pd

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.selection.pruning import check_measurable, kept_rows
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_json, load_table, save_table
    from datassay.training import retrain

    examples = load_table(job.input.examples)
    check_measurable(examples)
    ranking = load_table(job.input.ranking, ["row"])["row"].to_numpy()
    ratio = float(job.wildcards.ratio)
    card = load_json(job.input.card)
    key = fingerprint(*map(Path, job.input), dict(job.params.items()), ratio, job.threads)
    progress = Checkpoints(Path(job.output.results).parent, key)
    results = retrain(
        examples,
        load_array(job.input.vectors) if job.input.get("vectors") else None,
        card["label_names"],
        training_settings(job.params.settings),
        job.params.seeds,
        kept_rows(ranking, ratio, len(split_rows(examples, "train"))),
        card["task"],
        progress,
    )
    save_table(job.output.results, pd.DataFrame(results).assign(strategy=job.wildcards.strategy, ratio=ratio))
    progress.clear()
