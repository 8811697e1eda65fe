"""Fine-tune the base model on a source and fit its embedding space map; a killed job goes on where it was."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.storage import load_json, load_table, save_json
    from datassay.transfer.jobs import build_esm

    files = [Path(job.input.examples), Path(job.input.card)]
    key = fingerprint(*files, dict(job.params.items()), job.wildcards.model, job.threads)
    progress = Checkpoints(Path(job.output.seconds).parent, key)
    seconds = build_esm(
        load_table(job.input.examples),
        load_json(job.input.card),
        training_settings(job.params.settings),
        job.params.how,
        job.params.about,
        progress,
        job.output.esm,
        job.output.model,
    )
    save_json(job.output.seconds, seconds)
    progress.clear()
