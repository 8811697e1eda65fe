"""Train one model with one seed and record its dynamics; a killed job goes on from its last epoch."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import fingerprint
    from datassay.errors import DatassayError
    from datassay.training.jobs import train_job

    seed = int(job.wildcards.seed)
    gpus, nodes = job.resources.get("gpu", 0), job.resources.get("nodes", 1)
    if nodes > 1 and not job.resources.get("mpi"):
        raise DatassayError("nodes: set it in the model's block of the config, which sets what goes with it")
    key = fingerprint(*map(Path, job.input), dict(job.params.items()), seed, job.threads, max(gpus, nodes))
    files, outputs = dict(job.input.items()), dict(job.output.items())
    train_job(files, job.params.settings, seed, outputs, key, gpus, nodes)
