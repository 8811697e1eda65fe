"""Score how expected each text of a split is, by a language model; a killed job goes on where it was."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import LanguageModel
    from datassay.measures.likelihood import pseudo_log_likelihood
    from datassay.stages import split_rows
    from datassay.storage import load_table, save_array

    examples = load_table(job.input.examples)
    key = fingerprint(Path(job.input.examples), dict(job.params.items()), job.threads)
    progress = Checkpoints(Path(job.output.log_likelihood).parent, key)
    settings = LanguageModel.model_validate(job.params.settings)
    scores = pseudo_log_likelihood(examples.iloc[split_rows(examples, job.params.split)], settings, progress)
    save_array(job.output.log_likelihood, scores)
    progress.clear()
