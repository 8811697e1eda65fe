"""Retrain with the labels of all rounds up to one, and with as many that were chosen in other ways."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.annotation.merging import gather, labels_of
    from datassay.annotation.progress import Setting, follow_round
    from datassay.checkpoints import Checkpoints, fingerprint
    from datassay.config import training_settings
    from datassay.selection.pruning import check_measurable
    from datassay.storage import load_array, load_json, load_table, save_table

    examples, card = load_table(job.input.examples), load_json(job.input.card)
    check_measurable(examples)
    answers = gather({Path(file).stem: load_table(file) for file in job.input.answers}, job.params.rounds)
    labels = labels_of(answers, card, job.params.aggregation, job.params.bins)
    earlier = load_table(job.input.earlier[0]) if job.input.earlier else None
    vectors = load_array(job.input.vectors) if job.input.get("vectors") else None
    model, seeds = training_settings(job.params.settings), job.params.seeds
    setting = Setting(examples, vectors, card["label_names"], model, seeds, card["task"])
    key = fingerprint(*map(Path, job.input), dict(job.params.items()), job.threads)
    checkpoints = Checkpoints(Path(job.output.progress).parent, key)
    progress, picks = follow_round(setting, labels, earlier, checkpoints, job.params.compare)
    save_table(job.output.progress, progress.assign(round=int(job.wildcards.round)))
    save_table(job.output.picks, picks)
    checkpoints.clear()
