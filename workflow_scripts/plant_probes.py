"""Set probes apart from the train rows."""

from datassay.step import step

with step(snakemake) as job:
    import pandas as pd

    from datassay.config import Probes
    from datassay.data.card import card_with_probes
    from datassay.data.foreign import read_sentences
    from datassay.data.probes import plant
    from datassay.data.score_files import read_scores
    from datassay.stages import split_rows
    from datassay.storage import load_json, load_table, save_json, save_table

    settings = Probes.model_validate(job.params.settings)
    examples, card = load_table(job.input.examples), load_json(job.input.card)
    train = examples.iloc[split_rows(examples, "train")]
    typicality = []
    if settings.scores is not None:
        typicality = [read_scores(settings.scores, train)]
    elif job.input.get("consistency"):
        found = load_table(job.input.consistency, rows=len(train))
        typicality = [found[name].to_numpy() for name in ("consistency", "margin")]
    foreign = read_sentences(settings.foreign) if settings.foreign else ()
    planted, probes = plant(
        examples.drop(columns="source_row"), settings, len(card["label_names"]), typicality, foreign
    )
    scores = {"example_id": train["example_id"], "typicality": typicality[0]} if typicality else {}
    save_table(job.output.examples, planted)
    save_json(job.output.card, card_with_probes(card, planted, probes))
    save_table(job.output.probes, probes)
    save_table(job.output.typicality, pd.DataFrame(scores, columns=["example_id", "typicality"]))
