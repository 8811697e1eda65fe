"""Build the web page on which the maps are coloured, filtered, searched and selected from."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.reporting.explorer import build_page
    from datassay.storage import load_array, load_json, load_table, save_text

    card, examples = load_json(job.input.card), load_table(job.input.examples)
    page = build_page(
        load_table(job.input.assay),
        examples,
        dict(zip(job.params.spaces, map(load_table, job.input.maps), strict=True)),
        name=job.wildcards.dataset,
        label_names=card["label_names"],
        logits=load_array(job.input.logits, shape=(None, len(examples), None), memory_map=True)[-1],
        task=card["task"],
        **job.params.settings,
    )
    save_text(job.output.explorer, page)
