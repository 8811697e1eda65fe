"""Make one label of all answers to an example, and train rows of what is labelled."""

from datassay.step import step

with step(snakemake) as job:
    from pathlib import Path

    from datassay.annotation.aggregation import annotator_quality
    from datassay.annotation.merging import gather, labels_of, merged, named_labels
    from datassay.storage import load_json, load_table, save_csv, save_json, save_table

    source, card = load_table(job.input.examples), load_json(job.input.card)
    answers = gather({Path(file).stem: load_table(file) for file in job.input.answers}, job.params.rounds)
    labels = labels_of(answers, card, job.params.aggregation, job.params.bins)
    examples, new_card = merged(source, card, labels)
    numbers = job.params.bins is not None or not card["label_names"]
    save_table(job.output.answers, answers)
    save_table(job.output.labels, labels)
    save_csv(job.output.csv, named_labels(labels, examples, card["label_names"]))
    save_csv(job.output.annotators, annotator_quality(answers, labels, numbers))
    save_table(job.output.examples, examples)
    save_json(job.output.card, new_card)
