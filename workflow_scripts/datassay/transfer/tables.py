"""The tables of a ranking as people read them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.storage import load_members
from datassay.transfer.filters import chosen
from datassay.transfer.registry import SOURCE
from datassay.transfer.texts import shared_share

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "rank": "Rank",
    "task_id": "Task ID",
    "task_subset": "Task Subset",
    "text_column": "Text Column",
    "label_column": "Label Column",
    "task_split": "Task Split",
    "num_examples": "Num Examples",
    "esm_architecture": "ESM Architecture",
    "score": "Score",
    "standard_error": "Standard Error",
    "rank_low": "Rank Low",
    "rank_high": "Rank High",
    "shared": "Shared Texts",
    "duplicate": "Duplicate",
    "folder": "Folder",
}


def rankable(
    index: "pd.DataFrame", base_name: str, expression: str | None, own: str | None
) -> tuple[list[str], dict[str, str]]:
    """Return the folders of an index to rank, and why each of the others is left out.

    base_name: only ESMs of this base model fit. expression: a filter on the columns of the index. own: the folder of
    the ESM of the target itself.
    """
    reasons = {}
    keep = np.ones(len(index), dtype=bool) if expression is None else chosen(index, expression)
    for row, kept in zip(index.to_dict("records"), keep, strict=True):
        if row["folder"] == own:
            reasons[row["folder"]] = "made of the target itself"
        elif isinstance(row["fault"], str):
            reasons[row["folder"]] = row["fault"]
        elif row["base_model_name"] != base_name:
            reasons[row["folder"]] = f"of base model {row['base_model_name']}, not {base_name}"
        elif not kept:
            reasons[row["folder"]] = f"filter {expression}"
    return [folder for folder in index["folder"] if folder not in reasons], reasons


def described(ranking: "pd.DataFrame", index: "pd.DataFrame", hashes: np.ndarray, limit: float) -> "pd.DataFrame":
    """Return a ranking (name: folder) with what its ESMs are about, and flagged where they share texts with the target.

    hashes: of the target's texts. shared: larger of the shares of texts in common, NaN where the source's texts are not
    known; duplicate: it is above limit.
    """
    about = index.drop(columns="fault").set_index("folder")
    table = ranking.rename(columns={"name": "folder"}).join(about, on="folder")
    table["shared"] = [_shared(folder, hashes) for folder in table["folder"]]
    table["duplicate"] = table["shared"] > limit
    for name in ("rank_low", "rank_high", "num_examples"):
        table[name] = table[name].astype("Int64")
    named = table[list(COLUMNS)].rename(columns=COLUMNS)
    named.attrs = dict(ranking.attrs)
    return named


def _shared(folder: str, hashes: np.ndarray) -> float:
    file = Path(folder) / SOURCE
    return shared_share(load_members(file)["text_hashes"], hashes) if file.is_file() else float("nan")


def markdown(table: "pd.DataFrame") -> str:
    """Return a table in Markdown: missing cells empty, numbers with 6 digits at most."""
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|" + "---|" * len(table.columns)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    import pandas as pd

    if pd.isna(value):
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")


def ranking_page(target: str, table: "pd.DataFrame", left_out: dict[str, str], rows: int, base: str) -> str:
    """Return the ranking of a target as a page: what it says, the table, and what was left out and why."""
    text = [
        f"# Sources for {target}\n\nHow well a linear model on the embeddings of {base}, mapped as fine-tuning on each "
        f"source would, explains {rows:,} rows of {target} (LogME, higher is better). Standard errors and 95 % "
        "intervals of the rank over draws of these rows.\n\n",
        markdown(table.drop(columns="Folder")),
    ]
    if left_out:
        text.append("\n## Left out\n\n" + "".join(f"- `{name}`: {why}\n" for name, why in sorted(left_out.items())))
    return "".join(text)
