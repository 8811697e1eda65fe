"""Say which weights matter for a data set: by its source's model, or by one fine-tuned on a target's rows."""

from datassay.step import step

with step(snakemake) as job:
    import tempfile
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.storage import load_json, load_table, save_arrays, save_json
    from datassay.transfer.baseline_jobs import embed_task

    files = [Path(job.input.examples), Path(job.input.card)]
    progress = Checkpoints(Path(job.output.seconds).parent, fingerprint(*files, dict(job.params.items()), job.threads))
    with tempfile.TemporaryDirectory() as scratch:
        arrays, seconds = embed_task(
            load_table(job.input.examples),
            load_json(job.input.card),
            training_settings(job.params.settings),
            job.params.how,
            job.input.model if job.input.get("model") else None,
            progress,
            Path(scratch) / "tuned",
        )
    save_arrays(job.output.embedding, **arrays)
    save_json(job.output.seconds, seconds)
    progress.clear()
