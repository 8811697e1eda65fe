"""Write what a run found in a few lines: it is shown when the run ends."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.reporting import summary_text
    from datassay.storage import load_table, read_csv, save_text

    parts = []
    files = zip(job.params.pairs, job.input.detection, job.input.suspicious, strict=True)
    for (dataset, model), detection, suspicious in files:
        own = [load_table(file) for file in job.input.metrics if f"/{dataset}/training/{model}/" in file]
        parts.append(
            summary_text(
                dataset,
                f"results/{dataset}",
                read_csv(suspicious),
                {model: pd.concat(own)},
                load_table(detection),
                examples=job.params.suspicious,
            )
        )
    save_text(job.output.summary, "\n".join(parts))
