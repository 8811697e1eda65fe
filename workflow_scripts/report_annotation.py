"""Tabulate and draw the rounds."""

from datassay.step import step

with step(snakemake) as job:
    from datassay import reporting
    from datassay.annotation.summary import budget_table, round_table
    from datassay.storage import load_json, load_table, save_csv

    answers, labels = load_table(job.input.answers), load_table(job.input.labels)
    names = load_json(job.input.card)["label_names"]
    rounds = round_table(answers, labels, names, job.params.numbers)
    budget = budget_table([load_table(file) for file in job.input.progress], job.params.metric)
    save_csv(job.output.rounds, rounds)
    save_csv(job.output.budget, budget)
    name = job.wildcards.dataset
    reporting.save_figure(reporting.annotation_progress(budget, name=name), job.output.progress)
    agreement = reporting.annotation_agreement(rounds, answers, labels, job.params.numbers, name=name)
    reporting.save_figure(agreement, job.output.agreement)
    reporting.save_figure(reporting.annotation_balance(labels, names, name=name), job.output.balance)
