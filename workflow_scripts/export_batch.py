"""Write the batch in the forms that people and their tools take."""

from datassay.step import step

with step(snakemake) as job:
    from datassay.annotation.exports import readable_batch, save_exports, save_images
    from datassay.annotation.rounds import tell_next_step
    from datassay.storage import load_json, load_table

    examples, batch = load_table(job.input.examples), load_table(job.input.batch)
    names = load_json(job.input.card)["label_names"]
    table = readable_batch(batch, examples, names)
    save_images(job.output.images, examples.iloc[batch["row"].to_numpy()])
    asked, number = [] if job.params.numbers else names, int(job.wildcards.round)
    save_exports(table, asked, number, job.params.question, job.params.image_url, job.output)
    tell_next_step(len(table), job.output.csv, job.wildcards.dataset, number)
