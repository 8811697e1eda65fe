"""Fine-tune a source's model on a target with every seed and measure it: the truth that rankings are held against."""

from datassay.step import step

with step(snakemake) as job:
    import tempfile
    from pathlib import Path

    import pandas as pd

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.storage import load_json, load_table, save_table
    from datassay.transfer.jobs import transfer

    model = job.input.model if job.input.get("model") else None
    files = [job.input.examples, job.input.card, *([] if model is None else sorted(Path(model).glob("*.safetensors")))]
    key = fingerprint(*map(Path, files), dict(job.params.items()), job.threads)
    progress = Checkpoints(Path(job.output.results).parent, key)
    with tempfile.TemporaryDirectory() as scratch:
        results = transfer(
            load_table(job.input.examples),
            load_json(job.input.card),
            training_settings(job.params.settings),
            job.params.how,
            model,
            progress,
            Path(scratch) / "bare",
        )
    save_table(job.output.results, pd.DataFrame(results).assign(source=job.wildcards.source))
    progress.clear()
