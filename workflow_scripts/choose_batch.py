"""Choose what people are asked next."""

from datassay.step import step

with step(snakemake) as job:
    import numpy as np
    import pandas as pd

    from datassay.annotation.selection import Recorded, choose_batch
    from datassay.registry import method
    from datassay.stages import split_rows
    from datassay.storage import load_array, load_json, load_table, save_table

    examples, pool, settings = load_table(job.input.examples), load_table(job.input.pool), job.params.settings
    arrays = {name: load_array(job.input[name], memory_map=True) for name in ("logits", "features", "embeddings")}
    last = np.stack([load_array(file, memory_map=True)[-1] for file in job.input.last_logits])
    task = load_json(job.input.card)["task"]
    recorded = Recorded(**arrays, ensemble_logits=last, train=split_rows(examples, "train"), task=task)
    rows = pool.loc[pool["removed_by"] == "", "row"].to_numpy()
    picks = choose_batch(method("acquisition", settings["strategy"]), recorded, examples, rows, settings)
    suggestion, confidence = recorded.predictions(picks)
    ids = examples["example_id"].to_numpy()[picks]
    batch = {"row": picks, "example_id": ids, "suggestion": suggestion, "confidence": confidence}
    save_table(job.output.batch, pd.DataFrame(batch))
