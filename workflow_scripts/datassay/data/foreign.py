"""Sentences of another data set, which are out of the distribution of this one."""

from pathlib import Path

from datassay.data.tables import decode, read_bytes, read_delimited, read_parquet
from datassay.errors import DatassayError


def read_sentences(name: str, root: Path = Path(".")) -> list[str]:
    """Return the distinct sentences of a file, in its order: lines of a .txt, column `text` of a .csv or .parquet."""
    kind = Path(name).suffix.removeprefix(".").lower()
    path = root / name
    if kind == "txt":
        found = decode(read_bytes(path, name), name).splitlines()
    elif kind == "csv":
        found = list(read_delimited(path, name, {"text": "text"}, kind)["text"])
    elif kind == "parquet":
        found = list(read_parquet(path, name, {"text": "text"})[0]["text"])
    else:
        raise DatassayError(f"{name}: probes.foreign takes .txt, .csv or .parquet, found '.{kind}'")
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and text.strip() and "\0" not in text))
