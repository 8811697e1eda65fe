"""Run one strategy of active learning with one seed to the end of its budget."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.acquisition import NeighborLists
    from datassay.active_learning.cells import seed_triple
    from datassay.active_learning.loop import active_learning
    from datassay.active_learning.tables import picked_table, rounds_table, run_summary, subpools_table, times_table
    from datassay.active_learning.world import make_world
    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import ActiveLearning, QueryStrategy, training_settings
    from datassay.neighbors import HnswIndex
    from datassay.storage import load_array, load_json, load_table, save_json, save_table

    files, params = job.input, job.params
    index = HnswIndex.load(files.index) if files.get("index") else None
    lists = NeighborLists(load_array(files.embeddings, memory_map=True), index)
    of_train = {name: load_array(files[name]) for name in ("surprisal", "log_likelihood") if files.get(name)}
    world = make_world(load_table(files.examples), load_json(files.card), lists, params.minority, of_train)
    loop = ActiveLearning.model_validate(params.loop)
    strategy = QueryStrategy(name=job.wildcards.strategy, **params.strategy)
    progress = Checkpoints(
        Path(job.output.rounds).parent,
        fingerprint(*map(Path, files), dict(params.items()), *job.wildcards, job.threads),
    )
    seeds = seed_triple(job.wildcards.triple)
    rounds = active_learning(world, loop, strategy, training_settings(params.settings), seeds, progress)
    save_table(job.output.rounds, rounds_table(rounds))
    save_table(job.output.picked, picked_table(world, rounds))
    save_table(job.output.subpools, subpools_table(rounds))
    save_table(job.output.times, times_table(rounds))
    save_json(job.output.summary, run_summary(world, rounds_table(rounds)))
    progress.clear()
