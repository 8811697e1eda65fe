"""Embed the rows of a target that the ranking sees, and keep what linear maps are scored by."""

from datassay.step import step

with step(snakemake) as job:
    import time
    from dataclasses import asdict
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.storage import load_json, load_table, save_array, save_arrays, save_json, save_table
    from datassay.transfer.jobs import embed_texts, resolved_pooling, sample
    from datassay.transfer.logme import moments
    from datassay.transfer.texts import text_hashes

    settings, how = training_settings(job.params.settings), job.params.how
    task = load_json(job.input.card)["task"]
    chosen = sample(load_table(job.input.examples), "train", how["target_rows"], how["seed"], task)
    files = [Path(job.input.examples), Path(job.input.card)]
    progress = Checkpoints(Path(job.output.rows).parent, fingerprint(*files, dict(job.params.items()), job.threads))
    pooling = resolved_pooling(settings, how["pooling"])
    started = time.monotonic()
    embeddings = embed_texts(chosen, settings.backbone, settings, pooling, progress, "base")
    found = moments(embeddings, chosen["label"].to_numpy(), regression=task == "regression")
    save_json(job.output.seconds, {"embedding": time.monotonic() - started})
    save_array(job.output.embeddings, embeddings)
    save_arrays(job.output.statistics, text_hashes=text_hashes(chosen), **asdict(found))
    save_table(job.output.rows, chosen[["example_id", "label"]])
    progress.clear()
