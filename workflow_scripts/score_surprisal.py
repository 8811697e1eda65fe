"""Score how much a sample of every text's tokens surprises a masked language model."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import Surprise
    from datassay.measures.surprisal import token_surprisal
    from datassay.stages import split_rows
    from datassay.storage import load_table, save_array

    examples = load_table(job.input.examples)
    train = examples.iloc[split_rows(examples, "train")].reset_index(drop=True)
    key = fingerprint(Path(job.input.examples), dict(job.params.items()))
    progress = Checkpoints(Path(job.output.surprisal).parent, key)
    save_array(job.output.surprisal, token_surprisal(train, Surprise.model_validate(job.params.settings), progress))
    progress.clear()
