"""Classifiers with several seeds, and everything recorded while they learn.

REQUIRED: examples.parquet, and the encoder's vectors for a head.
PROVIDES: logits.npy, features.npy, mc_logits.npy, metrics.parquet and the model, one folder per seed.
"""


def training_files(name):
    """One recorded file of every (data set, model, seed)."""
    return [
        path(name, dataset=d, model=m, seed=s)
        for d, m in plan.pairs(CONFIG)
        for s in plan.seeds_of(CONFIG, one(CONFIG.datasets, d))
    ]


def training_inputs(wildcards):
    """The examples, and for a head the vectors it is trained on."""
    inputs = {"examples": path("examples", dataset=wildcards.dataset), "card": path("card", dataset=wildcards.dataset)}
    if one(CONFIG.models, wildcards.model).recipe == "head":
        encoder = plan.encoder_of(CONFIG, wildcards.dataset, wildcards.model)
        inputs["vectors"] = path("embeddings", dataset=wildcards.dataset, encoder=encoder)
    return inputs


rule training:
    """Train every model with every seed."""
    input:
        training_files("logits"),


rule train:
    """Train one model with one seed and record its dynamics; a killed job goes on from its last epoch."""
    input:
        unpack(training_inputs),
    output:
        logits=path("logits"),
        features=path("features"),
        mc_logits=path("mc_logits"),
        metrics=path("metrics"),
        model=directory(path("trained_model")),
    log:
        "results/logs/train/{dataset}/{model}/seed{seed}.log",
    benchmark:
        "results/benchmarks/train/{dataset}/{model}/seed{seed}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.models, wildcards.model).recipe_params(),
        version=version("train"),
    threads: lambda wildcards: one(CONFIG.models, wildcards.model).threads
    resources:
        mem_mb=megabytes(6000),
        runtime=minutes(240),
        gpu=lambda wildcards: one(CONFIG.models, wildcards.model).gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/train.py"
