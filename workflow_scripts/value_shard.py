"""Do one shard of a sampled estimator's work; a killed job goes on after its last saved unit."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.registry import method
    from datassay.storage import load_json, save_arrays
    from datassay.valuation.jobs import load_data, load_game
    from datassay.valuation.sampling import empty_shard, run_shard

    about, shard = method("estimator", job.wildcards.estimator), int(job.wildcards.shard)
    if job.input.status and load_json(job.input.status[0])["stopped_by"]:
        save_arrays(job.output.sums, **empty_shard())
    else:
        files = {name: file for name, file in job.input.items() if name != "status"}
        _, data = load_data(files)
        game, options = load_game(about, data, files, job.params.how, job.params.max_rows)
        key = fingerprint(*map(Path, files.values()), dict(job.params.items()), shard, job.threads)
        progress = Checkpoints(Path(job.output.sums).parent, key)
        sums = run_shard(about, game, options, shard=shard, checkpoints=progress, **job.params.work)
        save_arrays(job.output.sums, **sums)
        progress.clear()
