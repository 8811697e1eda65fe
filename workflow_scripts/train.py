"""Train one model with one seed and record its dynamics; a killed job goes on from its last epoch."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import fingerprint
    from datassay.training.jobs import train_job

    seed = int(job.wildcards.seed)
    processes = job.resources.get("gpu", 0)
    key = fingerprint(*map(Path, job.input), dict(job.params.items()), seed, job.threads, max(processes, 1))
    files, outputs = dict(job.input.items()), dict(job.output.items())
    train_job(files, job.params.settings, seed, outputs, key, processes)
