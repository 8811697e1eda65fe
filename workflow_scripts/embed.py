"""Encode every example as a vector."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import Encoder
    from datassay.encoders import embed
    from datassay.storage import load_table

    key = fingerprint(*map(Path, job.input), dict(job.params.items()), job.threads)
    progress = Checkpoints(Path(job.output.vectors).parent, key)
    embed(load_table(job.input.examples), Encoder.model_validate(job.params.settings), progress, job.output.vectors)
    progress.clear()
