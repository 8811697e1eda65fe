"""Score every source for a target by other methods; a killed job goes on at its next source."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    import pandas as pd

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.storage import load_array, load_json, load_table, save_json, save_table
    from datassay.transfer.jobs import compute_baselines, resolved_pooling, sample

    settings, how, names = training_settings(job.params.settings), job.params.how, job.params.sources
    task = load_json(job.input.card)["task"]
    chosen = sample(load_table(job.input.examples), "train", how["target_rows"], how["seed"], task)
    embeddings = load_array(job.input.embeddings, shape=(len(chosen), None))
    models = job.input.get("models") or [None] * len(names)
    tasks = [load_json(file)["task"] for file in job.input.cards]
    kinds = zip(names, job.input.esms, models, tasks, strict=True)
    sources = [{"name": n, "esm": e, "model": m, "regression": t == "regression"} for n, e, m, t in kinds]
    folders = [Path(folder) for folder in [*job.input.esms, *filter(None, models)]]
    weights = [file for folder in folders for file in sorted(folder.glob("*.safetensors"))]
    key = fingerprint(Path(job.input.examples), *weights, dict(job.params.items()), job.threads)
    progress = Checkpoints(Path(job.output.baselines).parent, key)
    pooling = resolved_pooling(settings, how["pooling"])
    arguments = (chosen, embeddings, task == "regression", sources, how["methods"], settings, pooling, progress)
    records = pd.DataFrame(compute_baselines(*arguments))
    save_table(job.output.baselines, records.drop(columns="seconds"))
    save_json(job.output.seconds, records.groupby("method")["seconds"].sum().to_dict())
    progress.clear()
