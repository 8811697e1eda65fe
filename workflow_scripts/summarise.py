"""Write what a run found in a few lines: it is shown when the run ends."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.artefacts import path
    from datassay.reporting import largest_class, summary_text
    from datassay.storage import load_table, read_csv, save_text

    parts = []
    files = zip(job.params.pairs, job.input.assay, job.input.detection, job.input.suspicious, strict=True)
    for (dataset, model), assay_file, detection, suspicious in files:
        about = job.params.about[dataset]
        assay = load_table(assay_file, ["example_id", "split", "label"])
        absent = assay.attrs["absent"] if model == about["main_model"] else {}
        own = [load_table(file) for file in job.input.metrics if f"/{dataset}/training/{model}/" in file]
        parts.append(
            summary_text(
                dataset,
                f"results/{dataset}",
                read_csv(suspicious),
                {model: pd.concat(own)},
                load_table(detection),
                metric=about["metric"],
                guess=largest_class(assay),
                files=[suspicious, path("explorer", dataset=dataset)],
                absent=about["left_out"] | absent,
                examples=job.params.suspicious,
            )
        )
    save_text(job.output.summary, "\n".join(parts))
