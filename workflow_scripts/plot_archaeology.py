"""Draw how probes and train rows were learnt, and show the clearest examples of every category."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.archaeology.records import load_trajectories
    from datassay.reporting import archaeology_figures as figures
    from datassay.reporting import probe_galleries as galleries
    from datassay.reporting import save_figure
    from datassay.storage import load_json, load_table, save_csv

    name = f"{job.wildcards.dataset}, {job.wildcards.model}"
    records, evaluation = load_trajectories(job.input.trajectories), load_json(job.input.evaluation)
    probes, typicality = load_table(job.input.probes), load_table(job.input.typicality)
    examples, label_names = load_table(job.input.examples), load_json(job.input.card)["label_names"]
    audit = galleries.audit_table(load_table(job.input.categories), examples, label_names)
    save_csv(job.output.audit, audit)
    draw = {
        "probe_curves": lambda: figures.probe_curves(records, name=name),
        "learned": lambda: figures.learned(records, name=name),
        "probe_losses": lambda: figures.probe_losses(records, name=name),
        "probe_trajectories": lambda: figures.probe_trajectories(records, name=name),
        "probe_confusion": lambda: figures.probe_confusion(evaluation, name=name),
        "memorisation": lambda: figures.memorisation(typicality, probes, name=name),
        "probe_gallery": lambda: galleries.probe_gallery(probes, examples, label_names, name=name),
        "category_gallery": lambda: galleries.category_gallery(audit, examples, name=name),
    }
    for figure, function in draw.items():
        save_figure(function(), job.output[figure])
