"""Estimate the value of every train example on the valuation split."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.registry import method
    from datassay.storage import save_table
    from datassay.valuation import values_table
    from datassay.valuation.jobs import load_data, load_game

    about = method("estimator", job.wildcards.estimator)
    ids, data = load_data(job.input)
    if about.game is None:
        answer = about.function(*data, **job.params.how["options"])
    else:
        game, options = load_game(about, data, dict(job.input.items()), job.params.how, job.params.max_rows)
        answer = about.function(game, **options)
    table = values_table(about, answer, len(ids))
    table.insert(0, "example_id", ids)
    save_table(job.output["values"], table)
