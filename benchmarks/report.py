"""results.csv holds one line per row and side, the newest; results.md is drawn from it."""

import csv
from pathlib import Path
from typing import Any

FIELDS = ["row", "work", "side", "seconds", "cpu_seconds", "first_seconds", "peak_mb", "runs", "answer", "reach"]
FIELDS += ["date", "machine", "python", "threads", "load", "others", "versions"]
HEADER = ["step", "side", "wall s", "CPU s", "times ours", "peak MB", "runs", "answer"]


def write_report(folder: Path, records: list[dict[str, Any]], order: list[str]) -> None:
    """Replace the lines of the measured rows in results.csv and draw results.md anew."""
    path = folder / "results.csv"
    kept: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [line for line in csv.DictReader(file) if line["row"] not in {r["row"] for r in records}]
    lines = sorted(kept + records, key=lambda line: order.index(line["row"]) if line["row"] in order else len(order))
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    (folder / "results.md").write_text(page(lines))


def page(lines: list[dict[str, Any]]) -> str:
    """Return results.md."""
    text = ["# Speed and memory beside the peers", ""]
    text += ["Written by `make bench`: the same arrays and threads for all sides, in turns, the median of the runs."]
    text += ["Peak: memory above that of the loaded arrays, in a fresh process, first call. CPU: of all threads."]
    text += ["Answers are compared before anything is timed.", "", table(lines), "", "## What was measured", ""]
    for row in dict.fromkeys(line["row"] for line in lines):
        first = next(line for line in lines if line["row"] == row)
        versions = "; ".join(f"{n['side']}: {n['versions']}" for n in lines if n["row"] == row and n.get("versions"))
        text.append(
            f"- **{row}**: {first['work']}; to reach: {first['reach']}. {first['date']}, {first['machine']}, "
            f"{first['threads']} threads, Python {first['python']}, load {first['load']} before, "
            f"{first['others']} cores kept busy by others meanwhile. {versions}."
        )
    return "\n".join(text) + "\n"


def table(lines: list[dict[str, Any]]) -> str:
    """Return the lines as a Markdown table; the first side of a row is ours."""
    text = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    ours: dict[str, float] = {}
    for line in lines:
        seconds = float(line["seconds"]) if line.get("seconds") else None
        if seconds is not None:
            ours.setdefault(line["row"], seconds)
        ratio = f"{seconds / ours[line['row']]:.1f}" if seconds and line["row"] in ours else ""
        numbers = [f"{float(line[name]):.2f}" if line.get(name) else "" for name in ("seconds", "cpu_seconds")]
        cells = [line["row"], line["side"], *numbers, ratio, str(line.get("peak_mb", "")), str(line.get("runs", ""))]
        text.append("| " + " | ".join([*cells, line["answer"]]) + " |")
    return "\n".join(text)
