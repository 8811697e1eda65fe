"""Score every source for a target by other methods; a killed job goes on at its next source."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    import pandas as pd

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.storage import load_array, load_json, load_table, save_json, save_table
    from datassay.transfer.baseline_jobs import compute_baselines, total_seconds
    from datassay.transfer.jobs import resolved_pooling, sample

    settings, how, names = training_settings(job.params.settings), job.params.how, job.params.sources
    task = load_json(job.input.card)["task"]
    chosen = sample(load_table(job.input.examples), "train", how["target_rows"], how["seed"], task)
    embeddings = load_array(job.input.embeddings, shape=(len(chosen), None))
    nothing = [None] * len(names)
    models, tasks = job.input.get("models") or nothing, job.input.get("tasks") or nothing
    sources = [
        {"name": name, "esm": esm, "model": model, "task": task, "regression": load_json(card)["task"] == "regression"}
        for name, esm, model, task, card in zip(names, job.input.esms, models, tasks, job.input.cards, strict=True)
    ]
    folders = [Path(folder) for folder in [*job.input.esms, *filter(None, models)]]
    files = [file for folder in folders for file in sorted(folder.glob("*.safetensors"))]
    key = fingerprint(Path(job.input.examples), *files, dict(job.params.items()), job.threads)
    progress = Checkpoints(Path(job.output.baselines).parent, key)
    arguments = (task == "regression", sources, how["methods"], settings, resolved_pooling(settings, how["pooling"]))
    records = compute_baselines(chosen, embeddings, *arguments, progress, job.input.get("own_task"))
    save_table(job.output.baselines, pd.DataFrame(records).drop(columns="seconds"))
    save_json(job.output.seconds, total_seconds(records, job.input.get("own_times")))
    progress.clear()
