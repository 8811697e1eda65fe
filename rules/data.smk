"""From a source to examples.parquet.

REQUIRED: the source of the data set (a local file or folder is tracked as input).
PROVIDES: examples.parquet, card.json and the drawn data card of every data set.
"""


localrules:
    plot_data_card,


rule data:
    """Prepare every data set."""
    input:
        [path("examples", dataset=d.name) for d in CONFIG.datasets],
        [path("card_figure", dataset=d.name) for d in CONFIG.datasets],


rule prepare_dataset:
    """Load, check, split, and inject noise into a data set."""
    input:
        source=source_files,
    output:
        examples=path("examples", dataset=plan.dataset_pattern(CONFIG, "plain")),
        card=path("card", dataset=plan.dataset_pattern(CONFIG, "plain")),
    log:
        "results/logs/prepare_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/prepare_dataset/{dataset}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.datasets, wildcards.dataset).preparation(),
        version=lambda wildcards: plan.source_version(CONFIG, wildcards.dataset),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/prepare_dataset.py"


rule plot_data_card:
    """Draw class balance, sizes and a few examples of a data set."""
    input:
        examples=path("examples"),
        card=path("card"),
    output:
        report(
            path("card_figure"),
            caption="../report/data_card.rst",
            category="Data",
            labels={"data set": "{dataset}", "figure": "data card"},
        ),
    log:
        "results/logs/plot_data_card/{dataset}.log",
    benchmark:
        "results/benchmarks/plot_data_card/{dataset}.tsv"
    params:
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/plot_data_card.py"
