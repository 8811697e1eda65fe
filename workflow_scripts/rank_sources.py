"""Rank the ESMs for a target, from its statistics; intervals from its embeddings."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting import ranking_figure, save_figure
    from datassay.storage import load_array, load_table, save_csv, save_json, save_table, save_text
    from datassay.transfer.ranking import load_statistics, rank
    from datassay.transfer.tables import described, rankable, ranking_page

    about, target = job.params.about, job.wildcards.target
    index = load_table(job.input.index)
    folders, left_out = rankable(index, about["base_name"], about["filter"], about["own"])
    statistics, hashes = load_statistics(job.input.statistics)
    rows = load_table(job.input.rows, rows=statistics.rows)
    embeddings = load_array(job.input.embeddings, shape=(statistics.rows, None))
    ranking = rank(
        embeddings,
        rows["label"].to_numpy(),
        [(folder, folder) for folder in folders],
        regression=about["task"] == "regression",
        statistics=statistics,
        seed=about["seed"],
        **about["bootstrap"],
    )
    save_json(job.output.seconds, ranking.attrs.pop("seconds"))
    left_out |= ranking.attrs.pop("faults")
    table = described(ranking, index, hashes, about["duplicates"])
    table.attrs["left_out"] = left_out
    save_table(job.output.ranking, table)
    save_csv(job.output.csv, table)
    save_text(job.output.markdown, ranking_page(target, table, left_out, statistics.rows, about["base_name"]))
    save_figure(ranking_figure(table, name=target), job.output.figure)
