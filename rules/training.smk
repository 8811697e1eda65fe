"""Classifiers with several seeds, and everything recorded while they learn.

REQUIRED: examples.parquet, and the encoder's vectors for a head.
PROVIDES: logits.npy, features.npy, feature_norms.npy, mc_logits.npy, metrics.parquet and the model, one folder per seed.
"""


rule training:
    """Train every model with every seed."""
    input:
        training_files("logits"),


rule train:
    """Train one model with one seed and record its dynamics; a killed job goes on from its last epoch."""
    input:
        unpack(lambda wildcards: model_inputs(wildcards.dataset, wildcards.model)),
    output:
        logits=path("logits"),
        features=path("features"),
        feature_norms=path("feature_norms"),
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
        mem_mb=doubling(6000),
        runtime=doubling(240),
        gpu=lambda wildcards: one(CONFIG.models, wildcards.model).gpu,
        nodes=placed("nodes"),
        cpus_per_task=placed("cpus_per_task"),
        tasks=placed("tasks"),
        tasks_per_gpu=placed("tasks_per_gpu"),
        gres=placed("gres"),
        mpi=placed("mpi"),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/train.py"
