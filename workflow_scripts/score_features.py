"""Score how expected each train image is, by the density of its features."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.measures import ppca_log_likelihood
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_array

    rows = split_rows(load_table(job.input.examples, ["split"]), "train")
    features = load_array(job.input.features, memory_map=True)[rows]
    save_array(job.output.log_likelihood, ppca_log_likelihood(features).astype("float32"))
