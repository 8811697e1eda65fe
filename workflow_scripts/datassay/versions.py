"""Version numbers of the stages; they stand in the params of their rules, so that raising one re-runs its jobs.

Snakemake does not see edits of library code. Raise the number of a stage (here) or of a method (its decorator) when its
results change. versions.lock.json holds each number with a hash of the source behind it; a test compares them and says
when a number was forgotten. `python -m datassay.versions` rewrites the file.
"""

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

STAGES: dict[str, tuple[int, tuple[str, ...]]] = {
    "prepare_dataset": (3, ("data",)),
    "score_consistency": (1, ("archaeology/consistency.py",)),
    "plant_probes": (1, ("data/probes.py", "data/score_files.py", "data/foreign.py")),
    "record_trajectories": (1, ("archaeology/trajectories.py",)),
    "evaluate_probes": (1, ("archaeology/evaluation.py", "measures/archaeology.py")),
    "detect_noise": (1, ("reporting/application_figures.py",)),
    "treatments": (1, ("archaeology/treatments.py",)),
    "compare_treatments": (1, ("archaeology/comparison.py", "reporting/application_figures.py")),
    "detect_outside": (1, ("archaeology/outside.py", "reporting/application_figures.py")),
    "embed": (1, ("encoders",)),
    "build_index": (1, ("neighbors",)),
    "find_neighbors": (2, ("neighbors",)),
    "map": (2, ("mapping.py",)),
    "train": (2, ("training",)),
    "score_likelihood": (3, ("measures/likelihood.py",)),
    "score_features": (2, ("measures/_density.py",)),
    "join_infoverse": (1, ("measures/infoverse.py",)),
    "retrain": (3, ("training",)),
    "summarise_pruning": (3, ("selection/comparison.py", "reporting/curves.py", "reporting/comparison.py")),
    "choose_kept": (1, ("cleaning/rules.py",)),
    "summarise_cleaning": (1, ("cleaning/summary.py",)),
    "follow_removals": (1, ("cleaning/curves.py",)),
    "read_answers": (1, ("annotation/answers.py",)),
    "merge_annotations": (1, ("annotation/merging.py",)),
    "filter_pool": (1, ("annotation/filters.py", "annotation/_kernels.py")),
    "choose_batch": (1, ("annotation/selection.py",)),
    "export_batch": (1, ("annotation/exports.py",)),
    "follow_round": (1, ("annotation/progress.py", "training")),
    "report_annotation": (2, ("annotation/summary.py", "reporting/annotation_figures.py")),
    "build_esm": (1, ("transfer/jobs.py", "transfer/_pooled.py", "transfer/_sgd.py", "training")),
    "embed_target": (1, ("transfer/jobs.py", "transfer/_pooled.py", "transfer/logme.py")),
    "rank_sources": (1, ("transfer/ranking.py", "transfer/_kernels.py", "transfer/tables.py", "transfer/filters.py")),
    "embed_task": (1, ("transfer/baseline_jobs.py", "transfer/_fisher.py", "training")),
    "score_baselines": (1, ("transfer/baseline_jobs.py", "transfer/_pooled.py", "transfer/_kernels.py")),
    "make_transfer": (1, ("transfer/jobs.py", "training")),
    "compare_rankings": (1, ("transfer/evaluation.py",)),
    "score_surprisal": (1, ("measures/surprisal.py",)),
    "learn_actively": (1, ("active_learning", "acquisition", "training")),
    "summarise_learning": (1, ("active_learning/comparison.py", "reporting/learning_figures.py")),
    "analyse_learning": (1, ("active_learning/analysis.py",)),
    "report": (4, ("reporting",)),
    "explorer": (3, ("reporting/explorer",)),
}
PACKAGE = Path(__file__).parent
NO_RESULTS = ("config", "errors.py", "registry.py", "checkpoints.py", "storage.py")  # no result follows from these
LOCK_FILE = "workflow_scripts/datassay/versions.lock.json"


def version(stage: str) -> int:
    """Return the version of a stage."""
    return STAGES[stage][0]


def current() -> dict[str, list[object]]:
    """Return stage or method -> [version, hash of its source and of all it imports from the library]."""
    from datassay.registry import PACKAGES, methods

    sources: dict[str, tuple[int, tuple[str, ...]]] = {f"stage {name}": about for name, about in STAGES.items()}
    for kind in PACKAGES:
        for name, about in methods(kind).items():
            module = about.function.__module__.removeprefix("datassay.").replace(".", "/") + ".py"
            sources[f"{kind} {name}"] = (about.version, (module,))
    return {name: [number, _digest(_with_imports(paths))] for name, (number, paths) in sorted(sources.items())}


def _with_imports(paths: tuple[str, ...]) -> list[Path]:
    """Return the files of a source and, again and again, the library's own files that they import."""
    pending = [file for path in paths for file in (_sources(PACKAGE / path) or [PACKAGE / path])]
    found: set[Path] = set()
    while pending:
        file = pending.pop()
        if file in found or not file.is_file() or file.relative_to(PACKAGE).parts[0] in NO_RESULTS:
            continue
        found.add(file)
        for module in re.findall(r"^\s*from datassay\.([\w.]+) import", file.read_text(encoding="utf-8"), re.M):
            place = PACKAGE / module.replace(".", "/")
            pending += [place.with_suffix(".py"), place / "__init__.py"]
    return sorted(found)


def _sources(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in (".py", ".js", ".css", ".html"))


def differences(lock: Mapping[str, list[object]]) -> list[str]:
    """Return the names whose source or version differs from the lock, sorted."""
    now = current()
    return sorted(name for name in now.keys() | lock.keys() if now.get(name) != lock.get(name))


def read_lock(path: Path) -> dict[str, list[object]]:
    """Read the lock file."""
    return json.loads(path.read_text(encoding="utf-8"))


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(_code(file).encode())
    return digest.hexdigest()[:16]


def _code(file: Path) -> str:
    """Return a Python file's lines without docstrings, comment lines and blank lines, the same under every Python."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        return text
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for_people: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            for_people.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in for_people]
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def main() -> None:
    """Rewrite the lock file."""
    lock = json.dumps(current(), indent=1) + "\n"
    (PACKAGE / "versions.lock.json").write_text(lock, encoding="utf-8")


if __name__ == "__main__":
    main()
