"""Decide which train rows to keep, by one column and one rule."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.cleaning import decide, known_wrong
    from datassay.stages import load_inputs, split_rows
    from datassay.storage import load_array, load_table, save_csv, save_json, save_table

    train, arrays = load_inputs({"examples": job.input.examples, job.wildcards.column: job.input.score})
    examples = load_table(job.input.examples)
    vectors = load_array(job.input.embeddings, shape=(len(examples), None), memory_map=True)
    labels = examples["label"].to_numpy()
    rows = {name: split_rows(examples, name) for name in ("train", "valuation", "test")}
    rows = {name: own[labels[own] >= 0] if name != "train" else own for name, own in rows.items()}
    scores = arrays[job.wildcards.column].astype(float)
    keep, report = decide(
        scores if job.params.end == "low" else -scores,
        *((vectors[own], labels[own]) for own in rows.values()),
        rule=job.wildcards.cut,
        **job.params.settings,
        wrong=known_wrong(examples.iloc[rows["train"]]),
    )
    kept = pd.DataFrame({"row": keep.nonzero()[0], "example_id": train["example_id"][keep], "score": scores[keep]})
    save_table(job.output.kept, kept)
    save_csv(job.output.csv, kept)
    save_json(job.output.decision, {"column": job.wildcards.column, "suspicious_end": job.params.end, **report})
