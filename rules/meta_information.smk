"""Measures: one row per train example.

REQUIRED: the recorded dynamics, the encoder's vectors.
PROVIDES: one parquet per measure family; infoverse.parquet, their join, and infoverse.npy, the same z-scored.
"""


localrules:
    score_features,
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


rule score_likelihood_shard:
    """Score how expected one job's share of the train texts is."""
    input:
        examples=path("examples"),
    output:
        log_likelihood=temp(path("text_likelihood_shard")),
    log:
        "results/logs/score_likelihood_shard/{dataset}/shard{shard}.log",
    benchmark:
        "results/benchmarks/score_likelihood_shard/{dataset}/shard{shard}.tsv"
    params:
        settings=LANGUAGE_MODEL.scoring() if LANGUAGE_MODEL else None,
        split="train",
        part=lambda wildcards: [int(wildcards.shard), likelihood_jobs(wildcards)],
        version=version("score_likelihood"),
    threads: LANGUAGE_MODEL.threads if LANGUAGE_MODEL else 1
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
        gpu=LANGUAGE_MODEL.gpu if LANGUAGE_MODEL else 0,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_likelihood.py"


rule score_likelihood:
    """Score how expected each train text is, by a language model; a killed job goes on where it was."""
    input:
        examples=path("examples"),
        shards=shards("text_likelihood_shard", likelihood_jobs),
    output:
        log_likelihood=path("text_likelihood"),
    log:
        "results/logs/score_likelihood/{dataset}.log",
    benchmark:
        "results/benchmarks/score_likelihood/{dataset}.tsv"
    params:
        settings=LANGUAGE_MODEL.scoring() if LANGUAGE_MODEL else None,
        split="train",
        version=version("score_likelihood"),
    threads: LANGUAGE_MODEL.threads if LANGUAGE_MODEL else 1
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
        gpu=LANGUAGE_MODEL.gpu if LANGUAGE_MODEL and LANGUAGE_MODEL.jobs == 1 else 0,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_likelihood.py"


rule score_features:
    """Score how expected each train image is, by the density of its features."""
    input:
        examples=path("examples"),
        features=lambda wildcards: plan.array_paths(CONFIG, wildcards.dataset, wildcards.model, ["features"])[
            "features"
        ],
    output:
        log_likelihood=path("feature_likelihood"),
    log:
        "results/logs/score_features/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/score_features/{dataset}/{model}.tsv"
    params:
        version=version("score_features"),
    threads: 1
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_features.py"


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
