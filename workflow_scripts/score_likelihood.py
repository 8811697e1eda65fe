"""Score how expected each text of a split is, by a language model; a killed job goes on where it was."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import LanguageModel
    from datassay.measures.likelihood import pseudo_log_likelihood
    from datassay.shards import Part
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_table, save_array

    if job.input.get("shards"):
        save_array(job.output.log_likelihood, sum(map(load_array, job.input.shards)))
    else:
        examples = load_table(job.input.examples)
        key = fingerprint(Path(job.input.examples), dict(job.params.items()), job.threads)
        progress = Checkpoints(Path(job.output.log_likelihood).parent, key)
        settings, part = LanguageModel.model_validate(job.params.settings), Part(*job.params.get("part", ()))
        texts = examples.iloc[split_rows(examples, job.params.split)]
        save_array(job.output.log_likelihood, pseudo_log_likelihood(texts, settings, progress, part))
        progress.clear()
