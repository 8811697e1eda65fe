"""Data values: what each train example is worth on the valuation split.

REQUIRED: examples.parquet, the encoder's vectors.
PROVIDES: value and standard error of every train example, one parquet per estimator.
"""


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
        examples=path("examples"),
        embeddings=lambda wildcards: path(
            "embeddings",
            dataset=wildcards.dataset,
            encoder=plan.encoder_of(CONFIG, wildcards.dataset, wildcards.model),
        ),
    output:
        values=path("values"),
    log:
        "results/logs/value/{dataset}/{model}/{estimator}.log",
    benchmark:
        "results/benchmarks/value/{dataset}/{model}/{estimator}.tsv"
    params:
        options=lambda wildcards: plan.options_of(CONFIG, "estimator", wildcards.estimator),
        version=lambda wildcards: plan.method_version("estimator", wildcards.estimator),
    threads: 4
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(120),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/value.py"
