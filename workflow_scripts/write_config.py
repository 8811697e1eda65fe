"""Write the validated config with every default."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.storage import save_json

    save_json(job.output[0], job.params.config)
