"""Which examples to keep, and what a model loses without the rest.

REQUIRED: the measures, values and arrays that the strategies name.
PROVIDES: one ranking per strategy, retraining results per (strategy, ratio), and their table and curves.
"""


localrules:
    rank_examples,
    summarise_pruning,


rule pruning:
    """Prune with every strategy and ratio, and retrain."""
    input:
        [path("pruning_table", dataset=d, model=m) for d, m in plan.pruned_pairs(CONFIG)],
        [path("figure", dataset=d, model=m, figure="pruning_curves") for d, m in plan.pruned_pairs(CONFIG)],


rule rank_examples:
    """Rank the train rows by one strategy, those to keep first."""
    input:
        unpack(ranking_inputs),
    output:
        ranking=path("ranking"),
    log:
        "results/logs/rank_examples/{dataset}/{model}/{strategy}.log",
    benchmark:
        "results/benchmarks/rank_examples/{dataset}/{model}/{strategy}.tsv"
    params:
        options=lambda wildcards: plan.options_of(CONFIG, "strategy", wildcards.strategy),
        keep=CONFIG.pruning.rank_up_to,
        seed=CONFIG.pruning.seed,
        by_column=lambda wildcards: plan.by_column(CONFIG, wildcards.strategy),
        version=lambda wildcards: plan.version_of(plan.strategy_of(CONFIG, wildcards.strategy)),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/rank_examples.py"


rule retrain:
    """Retrain on the kept rows with every seed."""
    input:
        unpack(retrain_inputs),
    output:
        results=path("retrained"),
    log:
        "results/logs/retrain/{dataset}/{model}/{strategy}/ratio{ratio}.log",
    benchmark:
        "results/benchmarks/retrain/{dataset}/{model}/{strategy}/ratio{ratio}.tsv"
    params:
        settings=lambda wildcards: plan.retrain_model(CONFIG, wildcards.model).recipe_params(),
        seeds=lambda wildcards: plan.seeds_of(CONFIG, one(CONFIG.datasets, wildcards.dataset)),
        version=version("retrain"),
    threads: lambda wildcards: plan.retrain_model(CONFIG, wildcards.model).threads
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(240),
        gpu=lambda wildcards: plan.retrain_model(CONFIG, wildcards.model).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/retrain.py"


rule summarise_pruning:
    """Compare the strategies at every ratio with random choice and with the full data."""
    input:
        results=lambda wildcards: [
            path("retrained", dataset=wildcards.dataset, model=wildcards.model, strategy=strategy, ratio=ratio)
            for strategy, ratio in plan.cells(CONFIG, wildcards.dataset)
        ],
    output:
        table=path("pruning_table"),
        csv=report(
            path("pruning_csv"),
            caption="../report/pruning_table.rst",
            category="Pruning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "table"},
        ),
        comparison=report(
            path("figure", figure="pruning_comparison"),
            caption="../report/pruning_comparison.rst",
            category="Pruning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "comparison"},
        ),
        curves=report(
            path("figure", figure="pruning_curves"),
            caption="../report/pruning_curves.rst",
            category="Pruning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "curves"},
        ),
    log:
        "results/logs/summarise_pruning/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/summarise_pruning/{dataset}/{model}.tsv"
    params:
        metric=lambda wildcards: plan.metric_of(CONFIG, wildcards.dataset),
        left_out=lambda wildcards: plan.left_out(CONFIG, wildcards.dataset),
        version=version("summarise_pruning"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/summarise_pruning.py"
