"""Simulated active learning: which labels of a large pool to ask for, and what a model learns from them.

REQUIRED: examples, card and vectors; for alps a masked language model; for hnsw search the index.
PROVIDES: per run its rounds, picks, subpools and times; per (data set, model) the comparison of all strategies.
"""


localrules:
    summarise_learning,


rule active_learning:
    """Run every strategy with every seed and compare them."""
    input:
        [path("learning_csv", dataset=d, model=m) for d, m in learning_pairs(CONFIG)],
        [
            path("learning_analysis_csv", dataset=d, model=m)
            for d, m in learning_pairs(CONFIG)
            if CONFIG.active_learning.analysis
        ],


rule score_surprisal:
    """Score how much a sample of every text's tokens surprises a masked language model."""
    input:
        examples=path("examples"),
    output:
        surprisal=path("surprisal"),
    log:
        "results/logs/score_surprisal/{dataset}.log",
    benchmark:
        "results/benchmarks/score_surprisal/{dataset}.tsv"
    params:
        settings=CONFIG.active_learning.alps.scoring() if CONFIG.active_learning.alps else None,
        version=version("score_surprisal"),
    threads: CONFIG.active_learning.alps.threads if CONFIG.active_learning.alps else 1
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
        gpu=CONFIG.active_learning.alps.gpu if CONFIG.active_learning.alps else 0,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_surprisal.py"


rule learn_actively:
    """Run one strategy with one seed to the end of its budget."""
    input:
        unpack(learning_inputs),
    output:
        rounds=path("learning_rounds"),
        picked=path("learning_picked"),
        subpools=path("learning_subpools"),
        times=path("learning_times"),
        summary=path("learning_summary"),
    log:
        "results/logs/learn_actively/{dataset}/{model}/{strategy}/seed{triple}.log",
    benchmark:
        "results/benchmarks/learn_actively/{dataset}/{model}/{strategy}/seed{triple}.tsv"
    params:
        loop=loop_params(CONFIG),
        strategy=lambda wildcards: strategy_params(CONFIG, wildcards.strategy),
        settings=lambda wildcards: one(CONFIG.models, wildcards.model).recipe_params(),
        minority=lambda wildcards: minority_names(one(CONFIG.datasets, wildcards.dataset)),
        base_version=lambda wildcards: base_version(CONFIG, wildcards.strategy),
        version=version("learn_actively"),
    threads: lambda wildcards: one(CONFIG.models, wildcards.model).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(720),
        gpu=lambda wildcards: one(CONFIG.models, wildcards.model).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/learn_actively.py"


rule summarise_learning:
    """Compare the strategies over the seeds, and draw their curves, times and subpools."""
    input:
        rounds=lambda wildcards: run_files(CONFIG, "learning_rounds", **wildcards),
        times=lambda wildcards: run_files(CONFIG, "learning_times", **wildcards),
        summaries=lambda wildcards: run_files(CONFIG, "learning_summary", **wildcards),
    output:
        table=path("learning_table"),
        csv=report(
            path("learning_csv"),
            caption="../report/learning_table.rst",
            category="Active learning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "table"},
        ),
        latex=path("learning_latex"),
        seconds=path("learning_seconds"),
        curves=report(
            path("figure", figure="learning_curves"),
            caption="../report/learning_curves.rst",
            category="Active learning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "curves"},
        ),
        times=report(
            path("figure", figure="learning_times"),
            caption="../report/learning_times.rst",
            category="Active learning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "time per round"},
        ),
        subpools=report(
            path("figure", figure="learning_subpools"),
            caption="../report/learning_subpools.rst",
            category="Active learning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "subpools"},
        ),
    log:
        "results/logs/summarise_learning/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/summarise_learning/{dataset}/{model}.tsv"
    params:
        runs=run_names(CONFIG),
        budgets=CONFIG.active_learning.budgets,
        version=version("summarise_learning"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/summarise_learning.py"


rule analyse_learning:
    """Say how diverse the picks are, and how uncertain a model trained on everything is of them."""
    input:
        examples=path("examples"),
        picked=lambda wildcards: run_files(CONFIG, "learning_picked", **wildcards),
        logits=lambda wildcards: plan.array_paths(CONFIG, wildcards.dataset, wildcards.model, ["logits"])["logits"],
    output:
        table=path("learning_analysis"),
        csv=path("learning_analysis_csv"),
    log:
        "results/logs/analyse_learning/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/analyse_learning/{dataset}/{model}.tsv"
    params:
        runs=run_names(CONFIG),
        version=version("analyse_learning"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/analyse_learning.py"
