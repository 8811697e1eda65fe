"""Score how expected each train example is: by a masked language model, or by the density of image features."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.measures import ppca_log_likelihood
    from datassay.measures.likelihood import pseudo_log_likelihood
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_array

    examples = load_table(job.input.examples)
    rows = split_rows(examples, "train")
    if job.params.source["kind"] == "features":
        scores = ppca_log_likelihood(load_array(job.input.features, memory_map=True)[rows]).astype("float32")
    else:
        key = fingerprint(Path(job.input.examples), dict(job.params.items()), job.threads)
        progress = Checkpoints(Path(job.output[0]).parent, key)
        scores = pseudo_log_likelihood(examples.iloc[rows], job.params.source, progress)
        progress.clear()
    save_array(job.output.log_likelihood, scores)
