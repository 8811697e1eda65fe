"""Probes: rows of a known kind, set apart from the train rows before anything is computed.

REQUIRED: the source of the data set; the score file, or the main encoder, that says which rows are typical.
PROVIDES: examples.parquet and card.json of data sets with probes, probes.parquet and the typicality of the train rows.
"""


localrules:
    score_consistency,
    plant_probes,


rule prepare_for_probes:
    """Load, check, split, and inject noise into a data set in which probes will be planted."""
    input:
        source=source_files,
    output:
        examples=path("prepared", dataset=plan.dataset_pattern(CONFIG, "probes")),
        card=path("prepared_card"),
    log:
        "results/logs/prepare_for_probes/{dataset}.log",
    benchmark:
        "results/benchmarks/prepare_for_probes/{dataset}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.datasets, wildcards.dataset).preparation(),
        source_rows=True,
        version=lambda wildcards: plan.source_version(CONFIG, wildcards.dataset),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/prepare_dataset.py"


rule embed_for_probes:
    """Encode every example before probes are planted, to find the typical ones."""
    input:
        examples=path("prepared"),
    output:
        vectors=path("prepared_vectors"),
    log:
        "results/logs/embed_for_probes/{dataset}.log",
    benchmark:
        "results/benchmarks/embed_for_probes/{dataset}.tsv"
    params:
        settings=lambda wildcards: plan.main_encoder(CONFIG, one(CONFIG.datasets, wildcards.dataset)).encoding(),
        version=version("embed"),
    threads: lambda wildcards: plan.main_encoder(CONFIG, one(CONFIG.datasets, wildcards.dataset)).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(120),
        gpu=lambda wildcards: plan.main_encoder(CONFIG, one(CONFIG.datasets, wildcards.dataset)).gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/embed.py"


rule score_consistency:
    """Score how often a head that did not see a train row says its label."""
    input:
        examples=path("prepared"),
        vectors=path("prepared_vectors"),
    output:
        consistency=path("consistency"),
    log:
        "results/logs/score_consistency/{dataset}.log",
    benchmark:
        "results/benchmarks/score_consistency/{dataset}.tsv"
    params:
        splits=lambda wildcards: one(CONFIG.datasets, wildcards.dataset).probes.splits,
        seed=lambda wildcards: one(CONFIG.datasets, wildcards.dataset).probes.seed,
        version=version("score_consistency"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_consistency.py"


rule plant_probes:
    """Set probes apart from the train rows."""
    input:
        unpack(lambda wildcards: plan.planting_inputs(CONFIG, wildcards.dataset)),
    output:
        examples=path("examples", dataset=plan.dataset_pattern(CONFIG, "probes")),
        card=path("card", dataset=plan.dataset_pattern(CONFIG, "probes")),
        probes=path("probes"),
        typicality=path("typicality"),
    log:
        "results/logs/plant_probes/{dataset}.log",
    benchmark:
        "results/benchmarks/plant_probes/{dataset}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.datasets, wildcards.dataset).probes.params("splits"),
        version=version("plant_probes"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/plant_probes.py"
