"""Train one model with one seed and record its dynamics; a killed job goes on from its last epoch."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.storage import load_array, load_json, load_table, save_array, save_table
    from datassay.training import train

    seed = int(job.wildcards.seed)
    files = [Path(file) for file in job.input]
    key = fingerprint(*files, dict(job.params.items()), seed, job.threads)
    progress = Checkpoints(Path(job.output.logits).parent, key)
    card = load_json(job.input.card)
    vectors = load_array(job.input.vectors) if job.input.get("vectors") else None
    recording = train(
        load_table(job.input.examples),
        vectors,
        card["label_names"],
        training_settings(job.params.settings),
        seed,
        progress,
        card["task"],
    )
    save_array(job.output.logits, recording.logits)
    save_array(job.output.features, recording.features)
    save_array(job.output.feature_norms, recording.feature_norms)
    save_array(job.output.mc_logits, recording.mc_logits)
    save_table(job.output.metrics, recording.metrics.assign(seed=seed))
    recording.save_model(job.output.model)
    progress.clear()
