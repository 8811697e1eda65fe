"""List every ESM: those of the config's sources and those of the registries."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.storage import save_csv, save_table
    from datassay.transfer.registry import esm_folders, index_esms

    further = [folder for root in job.params.registries for folder in esm_folders(root)]
    table = index_esms(dict.fromkeys([*job.params.own, *further]))
    save_table(job.output.index, table)
    save_csv(job.output.csv, table)
