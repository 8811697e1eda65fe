"""Data values: what each train example is worth on the valuation split.

REQUIRED: examples.parquet, the encoder's vectors; where the utility is the model, what that is trained from.
PROVIDES: value and standard error of every train example, one parquet per estimator. Sampled estimators leave their
sums in shards, so that more work only adds to them.
"""


localrules:
    check_values,
    merge_values,


rule valuation:
    """Estimate every data value."""
    input:
        [
            path("values", dataset=d, model=m, estimator=e)
            for d, m in plan.pairs(CONFIG)
            for e in plan.estimators_of(CONFIG, d)
        ],


rule value:
    """Estimate the value of every train example on the valuation split."""
    input:
        unpack(lambda wildcards: value_plan.inputs(CONFIG, **wildcards)),
    output:
        values=path("values", estimator=value_plan.wildcard(sampled=False)),
    log:
        "results/logs/value/{dataset}/{model}/{estimator}.log",
    benchmark:
        "results/benchmarks/value/{dataset}/{model}/{estimator}.tsv"
    params:
        how=lambda wildcards: value_plan.game_params(CONFIG, **wildcards),
        max_rows=lambda wildcards, input: CONFIG.valuation.sampling.max_rows,  # `input`: no trigger
        version=lambda wildcards: plan.method_version("estimator", wildcards.estimator),
    threads: lambda wildcards: value_plan.job_size(CONFIG, wildcards.model, wildcards.estimator, 4)["threads"]
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(120),
        gpu=lambda wildcards: value_plan.job_size(CONFIG, wildcards.model, wildcards.estimator, 4)["gpu"],
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/value.py"


rule value_shard:
    """Do one shard of a sampled estimator's work, or none where enough is known."""
    input:
        unpack(lambda wildcards: value_plan.shard_inputs(CONFIG, **wildcards)),
    output:
        sums=path("value_shard"),
    log:
        "results/logs/value_shard/{dataset}/{model}/{estimator}/shard{shard}.log",
    benchmark:
        "results/benchmarks/value_shard/{dataset}/{model}/{estimator}/shard{shard}.tsv"
    params:
        how=lambda wildcards: value_plan.game_params(CONFIG, wildcards.dataset, wildcards.model, wildcards.estimator),
        work=value_plan.shard_params(CONFIG),
        max_rows=lambda wildcards, input: CONFIG.valuation.sampling.max_rows,  # `input`: no trigger
        version=lambda wildcards: plan.method_version("estimator", wildcards.estimator),
    threads: lambda wildcards: value_plan.job_size(CONFIG, wildcards.model, wildcards.estimator, 1)["threads"]
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(240),
        gpu=lambda wildcards: value_plan.job_size(CONFIG, wildcards.model, wildcards.estimator, 1)["gpu"],
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/value_shard.py"


rule check_values:
    """Ask the stop rules whether the shards so far are enough."""
    input:
        shards=lambda wildcards: value_plan.wave_files(CONFIG, **wildcards),
    output:
        status=path("value_status"),
    log:
        "results/logs/check_values/{dataset}/{model}/{estimator}/wave{wave}.log",
    benchmark:
        "results/benchmarks/check_values/{dataset}/{model}/{estimator}/wave{wave}.tsv"
    params:
        stop=CONFIG.valuation.sampling.stop.params(),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/check_values.py"


rule merge_values:
    """Turn the shards of a sampled estimator into values and standard errors."""
    input:
        examples=path("examples"),
        shards=lambda wildcards: value_plan.shard_files(CONFIG, **wildcards),
    output:
        values=path("values", estimator=value_plan.wildcard(sampled=True)),
    log:
        "results/logs/merge_values/{dataset}/{model}/{estimator}.log",
    benchmark:
        "results/benchmarks/merge_values/{dataset}/{model}/{estimator}.tsv"
    params:
        stop=CONFIG.valuation.sampling.stop.params(),
        version=lambda wildcards: plan.method_version("estimator", wildcards.estimator),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/merge_values.py"
