"""What the documents show has to work: configs validate, snippets run, links and commands lead somewhere.

Configs and snippets register methods of their own, so they are tried in a process of their own: this file as a script.
"""

import ast
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
READ_ME = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md", "resources/README.md")
PAGES = {page: (ROOT / page).read_text(encoding="utf-8") for page in READ_ME} | {
    f"docs/{path.name}": path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))
}
IMAGES = {f"docs/images/{name}.png" for name in ("explorer", "data_map", "suspicious", "pruning_curves")}
FENCE = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<mark>[^\n]*) -->\n *)?```(?P<kind>\w+)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S
)
TAKES_A_VALUE = {
    "--snakefile", "--directory", "--profile", "--report", "--cores", "--retries", "--software-deployment-method",
}  # fmt: skip
SWALLOWS = {
    "--configfile": lambda word, rules: word.endswith(".yaml"),
    "--forcerun": lambda word, rules: word in rules,
    "--resources": lambda word, rules: "=" in word,
}


def blocks(kind):
    """Every fenced block of a kind: (page and line, marker above it or None, text)."""
    for page, text in PAGES.items():
        for found in FENCE.finditer(text):
            if found["kind"] == kind:
                body = re.sub(rf"^{found['indent']}", "", found["body"], flags=re.M)
                yield f"{page}:{text.count(chr(10), 0, found.start()) + 1}", found["mark"], body


def commands(program):
    """Every call of a program in the documents, as words after it."""
    for page, text in PAGES.items():
        shown = [body for where, _, body in blocks("bash") if where.startswith(f"{page}:")]
        inline = re.findall(r"`([^`\n]+)`", text)
        for line in [line for body in shown for line in body.splitlines()] + inline:
            words = line.split("#")[0].split()
            if words[:1] == [program]:
                yield page, words[1:]


@pytest.fixture(scope="module")
def rules():
    sources = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    return {name for path in sources for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)}


def test_configs_validate_and_snippets_run(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "workflow_scripts"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve())],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout.splitlines()[-1])
    assert {where: fault for where, fault in tried.items() if fault} == {}
    expected = sum(1 for kind in ("yaml", "python") for _ in blocks(kind))
    assert len(tried) >= expected > 10


def test_every_python_block_is_tried():
    for where, mark, body in blocks("python"):
        assert mark == "runs" or (mark or "").startswith("file: "), f"{where}: say how it is tried"
        ast.parse(body)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if not re.match(r"https?://|#", link):
            target = os.path.normpath((ROOT / page).parent / link.split("#")[0])
            name = Path(target).relative_to(ROOT).as_posix()
            assert name in IMAGES if name.endswith(".png") else Path(target).exists(), f"{page}: {link}"


def test_the_read_me_shows_its_pictures():
    assert set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGES["README.md"])) == IMAGES


@pytest.mark.parametrize("page", PAGES)
def test_named_paths_of_the_checkout_exist(page):
    place = r"(?:rules|profiles|envs|tests|workflow_scripts|docs|report)/[\w./-]+"
    for name in re.findall(rf"`({place})`", PAGES[page]):
        assert (ROOT / name).exists(), f"{page}: {name}"


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))
    named = [(page, word) for page, words in commands("make") for word in words if "=" not in word]
    assert len(named) > 5
    for page, target in named:
        assert target in targets, f"{page}: make {target}"


def test_snakemake_targets_exist(rules):
    """Some options take every word up to the next option, as snakemake reads them."""
    named = 0
    for page, words in commands("snakemake"):
        option = None
        for word in words:
            if word.startswith("-"):
                option = word
            elif option in SWALLOWS:
                assert SWALLOWS[option](word, rules), f"{page}: snakemake {' '.join(words)}: {option} takes '{word}'"
            elif option in TAKES_A_VALUE:
                option = None
            else:
                assert word in rules, f"{page}: snakemake {' '.join(words)}: no rule {word}"
                named += 1
    assert named > 5


def test_the_slurm_page_names_every_rule(rules):
    sources = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    short = set(re.findall(r"\w+", " ".join(re.findall(r"^localrules:\n((?:    \w+,\n)+)", sources, re.M))))
    snakefile = set(re.findall(r"^    (\w+),$", (ROOT / "Snakefile").read_text(), re.M))
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    grouped = {line.split("=")[0] for line in profile["groups"]}
    assert grouped <= short, "a rule that is submitted in a group is local without the group"
    page = " ".join(PAGES["docs/slurm.md"].split())
    for title, expected in (
        ("Local rules", short - grouped),
        ("Grouped", grouped),
        ("Submitted", rules - short - snakefile),
    ):
        listed = re.search(rf"{title}: ([^.]+)\.", page)[1]
        assert set(re.findall(r"`(\w+)`", listed)) == expected


def test_both_profiles_agree():
    """profiles/default is always read, and wins over --profile: a key that differs would be lost without a word."""
    paths = [ROOT / "profiles" / name / "config.yaml" for name in ("default", "slurm")]
    default, slurm = (yaml.safe_load(path.read_text()) for path in paths)
    assert {key for key in default.keys() & slurm.keys() if default[key] != slurm[key]} == set()


def test_named_results_are_artefacts():
    from datassay.artefacts import ARTEFACTS

    patterns = [re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(artefact.path)) for artefact in ARTEFACTS.values()]
    for page, text in PAGES.items():
        for name in re.findall(r"results/reviews/[\w./-]+\w\.\w+", text):
            assert any(re.fullmatch(pattern, name) for pattern in patterns), f"{page}: {name}"


def test_the_citation_is_complete():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "license", "type"} <= citation.keys()
    from datassay import __version__

    assert citation["version"] == __version__
    for reference in citation["references"]:
        assert {"type", "title", "authors", "year"} <= reference.keys()
        assert all("family-names" in author for author in reference["authors"])


def results_of_a_run():
    """Write what the tutorial reads: a small run of the data set `reviews` and the model `tuned`."""
    import numpy as np
    import pandas as pd

    from datassay.storage import save_array, save_csv, save_table

    rng = np.random.default_rng(0)
    n, results = 80, Path("results/reviews")
    examples = pd.DataFrame({"example_id": [f"a{i}" for i in range(n)], "label": np.arange(n) % 2})
    examples["split"] = np.where(np.arange(n) < 60, "train", np.where(np.arange(n) < 70, "valuation", "test"))
    vectors = rng.normal(size=(n, 8)) + examples[["label"]].to_numpy()
    save_table(results / "examples.parquet", examples)
    save_array(results / "training/tuned/seed0/logits.npy", rng.normal(size=(3, n, 2)).astype(np.float32))
    save_array(results / "embeddings/minilm/vectors.npy", vectors.astype(np.float32))
    ranking = pd.DataFrame({"rank": range(60), "row": range(60), "example_id": examples["example_id"][:60]})
    save_table(results / "pruning/tuned/aum/ranking.parquet", ranking)
    marks = {"suggested_label": ["bad", "good"], "likely_mislabelled": [True, False]}
    suspicious = pd.DataFrame({"example_id": ["a3", "a4"], "label": ["good", "bad"], **marks})
    save_csv(results / "report/tuned/suspicious.csv", suspicious)
    Path("reviews.csv").write_text("review_id,review,stars\na3,one,good\na4,two,bad\n")


def overlaid(base, config):
    """Merge as snakemake merges a --configfile over config.yaml: keys merge, lists replace."""
    merged = dict(base)
    for key, value in config.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = overlaid(base[key], value) if both else value
    return merged


def check_config(text):
    from datassay.config import Config
    from datassay.validation import validate

    raw = yaml.safe_load(text)
    assert raw.keys() <= Config.model_fields.keys(), "starts with no key of the config"
    if "datasets" not in raw:
        raw = overlaid(yaml.safe_load((ROOT / "config.yaml").read_text()), raw)
    for dataset in raw["datasets"]:
        if not dataset["source"].startswith(("hub", "builtin:")):
            Path(dataset["path"]).touch()
    for encoder in raw["encoders"]:
        if "path" in encoder:
            Path(encoder["path"]).touch()
    validate(raw)


def check_method(kind, name):
    """Hold a method of the documents to the contract of all methods."""
    from datassay.registry import methods
    from tests.contract import test_methods as contract

    contract.test_methods_are_documented(kind, name)
    for function in {
        "measure": (
            contract.test_measures_give_one_finite_number_per_example_and_column,
            contract.test_measures_repeat_and_do_not_change_their_input,
            contract.test_measures_follow_the_examples_when_they_are_reordered,
            contract.test_measures_say_why_a_column_is_absent,
        ),
        "strategy": (contract.test_strategies_rank_distinct_rows_and_repeat, contract.test_strategies_rank_prefixes),
        "estimator": (contract.test_estimators_give_a_finite_value_per_train_row_and_repeat,),
        "acquisition": (
            lambda name: contract.test_acquisitions_pick_distinct_candidates_and_repeat(name, 13),
            contract.test_acquisitions_pick_distinct_candidates_of_equal_ones,
        ),
        "dataset": (lambda name: methods("dataset")[name].function(),),
    }[kind]:
        function(name)


def main():
    """Try every config and snippet in the present folder; print {where: fault or ""}."""
    from datassay.registry import PACKAGES, load_extensions, methods

    shipped = {(kind, name) for kind in PACKAGES for name in methods(kind)}
    files = defaultdict(list)
    for _, mark, body in blocks("python"):
        if (mark or "").startswith("file: "):
            files[mark.removeprefix("file: ")].append(body)
    for name, parts in files.items():
        Path(name).write_text("\n\n".join(parts))
    load_extensions(sorted(files))
    results_of_a_run()
    trials = [(where, check_config, body) for where, _, body in blocks("yaml")]
    for where, mark, body in blocks("python"):
        trials.append((where, exec if mark == "runs" else ast.parse, body))
    added = [(kind, name) for kind in PACKAGES for name in methods(kind) if (kind, name) not in shipped]
    trials += [(f"{kind} {name}", lambda about: check_method(*about), (kind, name)) for kind, name in added]
    tried = {}
    for where, trial, argument in trials:
        try:
            trial(argument, {}) if trial is exec else trial(argument)
            tried[where] = ""
        except Exception as error:
            tried[where] = f"{type(error).__name__}: {error}"
    print(json.dumps(tried))


if __name__ == "__main__":
    main()
