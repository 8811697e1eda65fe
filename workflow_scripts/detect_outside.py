"""Tell what is out of distribution by the logits of all epochs."""

from datassay.step import step

with step(snakemake) as job:
    import numpy as np

    from datassay.archaeology.outside import held_out, outside_scores, outside_table
    from datassay.reporting import save_figure
    from datassay.reporting.application_figures import outside
    from datassay.storage import load_array, load_table, save_csv, save_table

    examples = load_table(job.input.examples, ["example_id", "split"])
    rows, suites = held_out(examples, load_table(job.input.probes))
    logits = load_array(job.input.logits, shape=(None, len(examples), None), memory_map=True)[:, rows]
    scores = outside_scores(np.asarray(logits), suites, **job.params.settings)
    table = outside_table(scores)
    ids = examples["example_id"].to_numpy()[rows[scores["row"]]]
    save_table(job.output.scores, scores.assign(example_id=ids).drop(columns="row"))
    save_csv(job.output.csv, table)
    save_figure(outside(scores, table, name=f"{job.wildcards.dataset}, {job.wildcards.model}"), job.output.figure)
