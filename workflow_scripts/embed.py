"""Encode every example as a vector, or one job's share of them, or join the shares."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import Encoder
    from datassay.encoders import embed
    from datassay.shards import Part, gather_rows
    from datassay.storage import load_table

    if job.input.get("shards"):
        gather_rows(job.input.shards, job.output.vectors)
    else:
        key = fingerprint(*map(Path, job.input), dict(job.params.items()), job.threads)
        progress = Checkpoints(Path(job.output.vectors).parent, key)
        settings, part = Encoder.model_validate(job.params.settings), Part(*job.params.get("part", ()))
        embed(load_table(job.input.examples), settings, progress, job.output.vectors, part)
        progress.clear()
