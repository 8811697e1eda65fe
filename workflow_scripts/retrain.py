"""Retrain on the kept rows with every seed."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.config import training_settings
    from datassay.selection.pruning import kept_rows
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_json, load_table, save_table
    from datassay.training import retrain

    examples = load_table(job.input.examples)
    ranking = load_table(job.input.ranking, ["row"])["row"].to_numpy()
    ratio = float(job.wildcards.ratio)
    results = retrain(
        examples,
        load_array(job.input.vectors) if job.input.get("vectors") else None,
        load_json(job.input.card)["label_names"],
        training_settings(job.params.settings),
        job.params.seeds,
        kept_rows(ranking, ratio, len(split_rows(examples, "train"))),
    )
    save_table(job.output.results, pd.DataFrame(results).assign(strategy=job.wildcards.strategy, ratio=ratio))
