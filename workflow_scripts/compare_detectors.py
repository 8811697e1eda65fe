"""Put every detector of every data set into one table."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting.detectors import compare_detectors
    from datassay.storage import load_table, save_csv, save_table

    detection = {tuple(p): load_table(f) for p, f in zip(job.params.pairs, job.input.detection, strict=True)}
    curves = {tuple(p): load_table(f) for p, f in zip(job.params.curve_pairs, job.input.curves, strict=True)}
    table = compare_detectors(detection, curves)
    save_table(job.output.table, table)
    save_csv(job.output.csv, table)
