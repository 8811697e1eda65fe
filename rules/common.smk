"""What every rules file uses: the validated config, paths, and the resources of a job.

REQUIRED: the merged YAML in `config`.
PROVIDES: CONFIG (validated), path(artefact, **wildcards), plan, params of the smallest block a rule needs.
"""

sys.path.insert(0, str(workflow.current_basedir.join("../workflow_scripts").get_path_or_uri(secret_free=True)))

from datassay import plan
from datassay.artefacts import path
from datassay.config import one
from datassay.registry import method
from datassay.validation import ConfigError, validate
from datassay.versions import version

try:
    CONFIG = validate(config, workflow.configfiles)
except ConfigError as error:
    print(f"error: {error}".replace("\n", "\nerror: "), file=sys.stderr)
    sys.exit(1)


wildcard_constraints:
    dataset=plan.names_pattern(CONFIG.datasets),
    encoder=plan.names_pattern(CONFIG.encoders),
    model=plan.names_pattern(CONFIG.models),
    seed=r"-?\d+",
    family=r"[A-Za-z0-9_-]+",
    estimator=r"[A-Za-z0-9_-]+",
    strategy=r"[A-Za-z0-9_-]+",
    ratio=r"[0-9.]+",


def megabytes(base):
    """Memory of a job: grows with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)


def minutes(base):
    """Time limit of a job: grows with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)


localrules:
    write_config,


rule write_config:
    """Write the validated config with every default, beside the results it led to."""
    output:
        path("config_used"),
    log:
        "results/logs/write_config.log",
    benchmark:
        "results/benchmarks/write_config.tsv"
    params:
        config=CONFIG.params(),
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/write_config.py"


def show_summary():
    """Print what the run found, if it came that far."""
    summary = Path(path("summary"))
    if summary.is_file():
        print(summary.read_text(encoding="utf-8"), file=sys.stderr)
