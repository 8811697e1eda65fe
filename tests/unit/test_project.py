"""The parts of the project that have to agree with each other."""

import re
import subprocess
import sys

import yaml

from datassay import documentation, versions
from datassay.artefacts import ARTEFACTS
from datassay.versions import LOCK_FILE, differences, read_lock

HEAVY = ("torch", "transformers", "datasets", "pandas", "pyarrow", "sklearn", "scipy", "numba", "matplotlib", "seaborn")


def test_generated_pages_are_in_step(root):
    for name, content in documentation.pages().items():
        assert (root / name).read_text(encoding="utf-8") == content, f"{name} is out of step, run: make docs"


def test_what_the_snakefile_loads_is_light():
    code = (
        "import sys; from datassay import plan, validation, registry, config\n"
        "for kind in registry.PACKAGES: registry.methods(kind)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.strip() == "[]"


def environment():
    import os

    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def test_versions_were_raised_when_sources_changed(root):
    changed = differences(read_lock(root / LOCK_FILE))
    assert not changed, (
        f"the source of {', '.join(changed)} changed: raise its version (versions.py, or the method's decorator) if its "
        "results change, then run: python -m datassay.versions"
    )


def test_a_changed_source_is_noticed(root):
    lock = read_lock(root / LOCK_FILE)
    name = sorted(lock)[0]
    assert differences(lock | {name: [lock[name][0], "0" * 16]}) == [name]
    assert differences({key: value for key, value in lock.items() if key != name}) == [name]


def test_the_hash_of_a_method_covers_what_it_imports():
    files = {path.name for path in versions._with_imports(("measures/static.py",))}
    assert {"static.py", "_density.py", "exact.py", "compute.py"} <= files
    assert not {"registry.py", "storage.py", "errors.py"} & files


def test_every_stage_exists_in_the_rules(root):
    rules = "".join(path.read_text() for path in (root / "rules").glob("*.smk"))
    for stage in versions.STAGES:
        assert f'version("{stage}")' in rules or stage == "prepare_dataset", stage


def test_artefacts_and_rules_name_each_other(root):
    text = "".join(path.read_text() for path in (root / "rules").glob("*.smk"))
    defined = set(re.findall(r"^rule (\w+):", text, re.M))
    assert {artefact.rule for artefact in ARTEFACTS.values()} <= defined


def test_rules_have_every_field_in_one_order(root):
    order = ["input", "output", "log", "benchmark", "params", "threads", "resources", "conda", "script"]
    for path in (root / "rules").glob("*.smk"):
        assert path.read_text().startswith('"""'), f"{path.name} has no contract"
        for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", path.read_text(), re.M):
            fields = re.findall(r"^    (\w+):", body, re.M)
            if "output" in fields:
                assert fields == [field for field in order if field in fields], f"{path.name}: {name}"
                assert set(order) - set(fields) <= {"input"}, f"{path.name}: {name}"


def test_scripts_are_thin(root):
    for path in (root / "workflow_scripts").glob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) < 40, f"{path.name}: move the work to the library"
        head = text.split("with step(")[0]
        assert not re.search(r"^(import|from) (numpy|pandas|torch)", head, re.M), f"{path.name}: import inside the step"
        assert "\ndef " not in text, f"{path.name}: functions belong to the library"


def test_the_library_never_mentions_snakemake(root):
    for path in (root / "workflow_scripts" / "datassay").rglob("*.py"):
        if path.name != "step.py":
            code = re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.S)
            assert "snakemake" not in code, f"{path.name} uses snakemake"


def names_of(path):
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return [line for line in lines if line]


def test_environments_are_in_step(root):
    pins = dict(line.lower().replace("_", "-").split("==") for line in names_of(root / "envs" / "constraints.txt"))
    core = [name.lower().replace("_", "-") for name in names_of(root / "envs" / "core.in")]
    dev = [name.lower().replace("_", "-") for name in names_of(root / "envs" / "dev.in")]
    assert not [name for name in core + dev if name not in pins]
    conda = yaml.safe_load((root / "envs" / "core.yaml").read_text())["dependencies"]
    listed = next(part["pip"] for part in conda if isinstance(part, dict))
    assert sorted(listed) == sorted(f"{name}=={pins[name]}" for name in core)


def test_every_fixed_package_is_used(root):
    sources = "".join(
        path.read_text() for path in (root / "workflow_scripts").rglob("*.py") if path.name != "documentation.py"
    )
    for package in (
        "torch",
        "transformers",
        "datasets",
        "pandas",
        "sklearn",
        "hnswlib",
        "openTSNE",
        "seaborn",
        "accelerate",
    ):
        assert re.search(rf"^\s*(import|from) {package}\b", sources, re.M), package
