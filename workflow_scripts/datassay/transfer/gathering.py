"""The files of rankings, baselines and real transfers as tables to compare."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datassay.storage import load_json, load_table
from datassay.transfer.baselines import performance
from datassay.transfer.evaluation import MEAN, METRICS, gains
from datassay.transfer.tables import markdown

if TYPE_CHECKING:
    import pandas as pd

ESM = "esm_logme"
TITLES = {
    "method": "Method",
    "targets": "Targets",
    "ndcg": "NDCG",
    "regret_1": "Regret@1 %",
    "regret_3": "Regret@3 %",
    "regret_5": "Regret@5 %",
    "spearman": "Spearman",
    "seconds": "Seconds per target",
    "bytes": "Bytes per source",
}


def rankings_of(
    rankings: Sequence[str], baselines: Sequence[str], esms: Mapping[str, str]
) -> "dict[str, pd.DataFrame]":
    """Return target -> source, method, score of the ESMs and of every baseline.

    Files lie in folders named after their target; esms: folder -> source of the config's own ESMs.
    """
    import pandas as pd

    found = {}
    for file in map(Path, rankings):
        table = load_table(file)
        own = pd.DataFrame({"source": table["Folder"].map(dict(esms)), "method": ESM, "score": table["Score"]})
        found[file.parent.name] = own.dropna(subset="source")
    for file in map(Path, baselines):
        scores = load_table(file, ["source", "method", "score"])
        found[file.parent.name] = pd.concat([found[file.parent.name], scores], ignore_index=True)
    return found


def truth_of(
    transfers: Sequence[str], base: str, regressions: Sequence[str]
) -> "tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]":
    """Return target -> source, seed, performance of the sources, and the same of the base model alone."""
    import pandas as pd

    parts: dict[str, list[pd.DataFrame]] = {}
    for file in map(Path, transfers):
        target, table = file.parent.parent.name, load_table(file)
        judged = [performance(row, target in regressions) for row in table.to_dict("records")]
        parts.setdefault(target, []).append(table[["source", "seed"]].assign(performance=judged))
    tables = {target: pd.concat(own, ignore_index=True) for target, own in parts.items()}
    of_base = {target: table[table["source"] == base] for target, table in tables.items()}
    return {target: table[table["source"] != base] for target, table in tables.items()}, of_base


def costs_of(embedding: Sequence[str], ranking: Sequence[str], baselines: Sequence[str], index: str) -> "pd.DataFrame":
    """Return target, method, seconds (for all sources) and bytes (per source, mean).

    embedding, ranking, baselines: files of seconds, the last beside their tables; index: of the ESMs. What starts from
    the base model's embedding of the target also pays for that.
    """
    import pandas as pd

    of_esm = float(load_table(index, ["bytes"])["bytes"].mean())
    rows: list[dict[str, Any]] = []
    embedded = {Path(file).parent.name: load_json(file)["embedding"] for file in embedding}
    for file in map(Path, ranking):
        target = file.parent.name
        seconds = embedded[target] + load_json(file)["scoring"]
        rows.append({"target": target, "method": ESM, "seconds": seconds, "bytes": of_esm})
    for file in map(Path, baselines):
        target = file.parent.name
        sizes = load_table(file.with_suffix(".parquet")).groupby("method")["bytes"].mean()
        for method, seconds in load_json(file).items():
            paid = seconds + (embedded[target] if method == "text_embedding" else 0.0)
            rows.append({"target": target, "method": method, "seconds": paid, "bytes": float(sizes[method])})
    return pd.DataFrame(rows, columns=["target", "method", "seconds", "bytes"])


def evaluation_page(
    table: "pd.DataFrame", truth: "Mapping[str, pd.DataFrame]", base: "Mapping[str, pd.DataFrame]"
) -> str:
    """Return the comparison as a page: methods over all targets, then each target, then the transfers themselves."""
    shown = table.rename(columns=TITLES)
    names = list(TITLES.values())
    parts = ["# Rankings of sources against real transfers\n"]
    for target in [MEAN, *truth]:
        own = shown[table["target"] == target]
        title = "All targets, mean" if target == MEAN else target
        columns = names if target == MEAN else [name for name in names if name != TITLES["targets"]]
        parts.append(f"\n## {title}\n\n{markdown(_rounded(own[columns]))}")
    made = gains(truth, base).sort_values(["target", "performance"], ascending=[True, False], kind="stable")
    parts.append(f"\n## Real transfers\n\n{markdown(made.round(4))}")
    return "".join(parts)


def _rounded(table: "pd.DataFrame") -> "pd.DataFrame":
    titles = [TITLES[name] for name in METRICS]
    rounded = table.round({**dict.fromkeys(titles, 3), TITLES["seconds"]: 2})
    return rounded.astype({TITLES["bytes"]: "Float64"}).round({TITLES["bytes"]: 0})
