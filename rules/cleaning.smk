"""Which examples to drop as harmful, what a model gains without them, and how all detectors compare.

REQUIRED: values or measures, the encoder's vectors; the assay for the comparison.
PROVIDES: kept rows, decisions, retraining results and their summary; removal curves; detectors.parquet, .csv and .png.
"""


localrules:
    choose_kept,
    summarise_cleaning,
    plot_removals,
    compare_detectors,
    plot_detectors,


rule cleaning:
    """Drop what every rule of every column says, and retrain."""
    input:
        [
            path(name, dataset=d, model=m)
            for d, m in plan.pairs(CONFIG)
            if cleaned_cells(CONFIG, d)
            for name in ("cleaning_table", "cleaning_csv", "cleaning_seeds")
        ],


rule detection:
    """Compare every value and measure as a detector of wrong labels, and in removal and addition curves."""
    input:
        path("detectors"),
        path("detectors_csv"),
        path("detectors_figure"),
        [
            path("figure", dataset=d, model=m, figure=f"removal_curves_{utility}")
            for d, m in curve_pairs(CONFIG, plan.pairs(CONFIG))
            for utility in CONFIG.detection.utilities
        ],


rule choose_kept:
    """Decide which train rows to keep, by one column and one rule."""
    input:
        unpack(kept_inputs),
    output:
        kept=path("kept"),
        csv=path("kept_csv"),
        decision=path("cleaning_decision"),
    log:
        "results/logs/choose_kept/{dataset}/{model}/{column}/{cut}.log",
    benchmark:
        "results/benchmarks/choose_kept/{dataset}/{model}/{column}/{cut}.tsv"
    params:
        settings=CONFIG.cleaning.params("by", "rules"),
        end=lambda wildcards: suspicious_end(wildcards.column),
        version=version("choose_kept"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/choose_kept.py"


rule retrain_cleaned:
    """Retrain on the rows that cleaning keeps, with every seed."""
    input:
        unpack(cleaned_inputs),
    output:
        results=path("cleaned"),
    log:
        "results/logs/retrain_cleaned/{dataset}/{model}/{column}/{cut}.log",
    benchmark:
        "results/benchmarks/retrain_cleaned/{dataset}/{model}/{column}/{cut}.tsv"
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
        "../workflow_scripts/retrain_cleaned.py"


rule summarise_cleaning:
    """Compare the retrained models with those of the full data, seed by seed."""
    input:
        full=lambda wildcards: path(
            "retrained",
            dataset=wildcards.dataset,
            model=wildcards.model,
            strategy=plan.REFERENCE_STRATEGY,
            ratio=plan.ratio_text(1),
        ),
        cleaned=cleaned_files("cleaned"),
        decisions=cleaned_files("cleaning_decision"),
    output:
        table=path("cleaning_table"),
        csv=report(
            path("cleaning_csv"),
            caption="../report/cleaning.rst",
            category="Cleaning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "table"},
        ),
        seeds=path("cleaning_seeds"),
        figure=report(
            path("figure", figure="cleaning"),
            caption="../report/cleaning.rst",
            category="Cleaning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "before and after"},
        ),
    log:
        "results/logs/summarise_cleaning/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/summarise_cleaning/{dataset}/{model}.tsv"
    params:
        metric=lambda wildcards: plan.metric_of(CONFIG, wildcards.dataset),
        version=version("summarise_cleaning"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/summarise_cleaning.py"


rule follow_removals:
    """Follow the test accuracy as train rows are removed by every value and measure, from either end."""
    input:
        assay=path("assay"),
        examples=path("examples"),
        embeddings=lambda wildcards: path(
            "embeddings",
            dataset=wildcards.dataset,
            encoder=plan.encoder_of(CONFIG, wildcards.dataset, wildcards.model),
        ),
    output:
        curves=path("curves"),
    log:
        "results/logs/follow_removals/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/follow_removals/{dataset}/{model}.tsv"
    params:
        settings=CONFIG.detection.params(),
        main_model=main_model,
        version=version("follow_removals"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/follow_removals.py"


rule plot_removals:
    """Draw the removal curves of every detector."""
    input:
        curves=path("curves"),
    output:
        figure=report(
            path("figure", figure="removal_curves_{utility}"),
            caption="../report/removal_curves.rst",
            category="Cleaning",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "removal curves, {utility}"},
        ),
    log:
        "results/logs/plot_removals/{dataset}/{model}/{utility}.log",
    benchmark:
        "results/benchmarks/plot_removals/{dataset}/{model}/{utility}.tsv"
    params:
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/plot_removals.py"


rule compare_detectors:
    """Put every detector of every data set into one table."""
    input:
        detection=[path("detection", dataset=d, model=m) for d, m in plan.pairs(CONFIG)],
        curves=[path("curves", dataset=d, model=m) for d, m in curve_pairs(CONFIG, plan.pairs(CONFIG))],
    output:
        table=path("detectors"),
        csv=report(
            path("detectors_csv"),
            caption="../report/detectors.rst",
            category="Label noise",
            labels={"figure": "all detectors (table)"},
        ),
    log:
        "results/logs/compare_detectors.log",
    benchmark:
        "results/benchmarks/compare_detectors.tsv"
    params:
        pairs=list(map(list, plan.pairs(CONFIG))),
        curve_pairs=list(map(list, curve_pairs(CONFIG, plan.pairs(CONFIG)))),
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/compare_detectors.py"


rule plot_detectors:
    """Draw the table of all detectors."""
    input:
        table=path("detectors"),
    output:
        figure=report(
            path("detectors_figure"),
            caption="../report/detectors.rst",
            category="Label noise",
            labels={"figure": "all detectors"},
        ),
    log:
        "results/logs/plot_detectors.log",
    benchmark:
        "results/benchmarks/plot_detectors.tsv"
    params:
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/plot_detectors.py"
