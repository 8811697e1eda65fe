"""Measures: one row per train example.

REQUIRED: the recorded dynamics, the encoder's vectors.
PROVIDES: one parquet per measure family; infoverse.parquet, their join, and infoverse.npy, the same z-scored.
"""


localrules:
    measure,
    join_infoverse,


rule meta_information:
    """Compute every measure of every model."""
    input:
        [path("infoverse", dataset=d, model=m) for d, m in plan.pairs(CONFIG) if plan.infoverse_families(CONFIG, d)],
        [
            path("family", dataset=d, model=m, family=f)
            for d, m in plan.pairs(CONFIG)
            for f in plan.families_of(CONFIG, d)
        ],


rule score_likelihood:
    """Score how expected each train example is: by a masked language model, or by the density of image features."""
    input:
        unpack(likelihood_inputs),
    output:
        log_likelihood=path("log_likelihood"),
    log:
        "results/logs/score_likelihood/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/score_likelihood/{dataset}/{model}.tsv"
    params:
        source=lambda wildcards: plan.likelihood_source(CONFIG, wildcards.dataset),
        version=version("score_likelihood"),
    threads: 1
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_likelihood.py"


rule measure:
    """Compute one family of measures."""
    input:
        unpack(method_inputs("measure", "family")),
    output:
        family=path("family"),
    log:
        "results/logs/measure/{dataset}/{model}/{family}.log",
    benchmark:
        "results/benchmarks/measure/{dataset}/{model}/{family}.tsv"
    params:
        options=lambda wildcards: plan.options_of(CONFIG, "measure", wildcards.family),
        task=lambda wildcards: one(CONFIG.datasets, wildcards.dataset).task,
        version=lambda wildcards: plan.method_version("measure", wildcards.family),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/measure.py"


rule join_infoverse:
    """Join the infoVerse columns of all families and z-score them."""
    input:
        families=lambda wildcards: [
            path("family", dataset=wildcards.dataset, model=wildcards.model, family=family)
            for family in plan.infoverse_families(CONFIG, wildcards.dataset)
        ],
    output:
        table=path("infoverse_table"),
        matrix=path("infoverse"),
    log:
        "results/logs/join_infoverse/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/join_infoverse/{dataset}/{model}.tsv"
    params:
        version=version("join_infoverse"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/join_infoverse.py"
