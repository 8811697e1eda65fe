"""What people look at: the wide table, the figures, the most suspicious examples.

REQUIRED: every measure and value, the training metrics.
PROVIDES: assay.parquet and .csv, detection and suspicious tables, figures, and the summary shown when a run ends.
"""


localrules:
    write_config,
    join_assay,
    score_detection,
    list_suspicious,
    plot_report,
    build_explorer,
    summarise,


FIGURES = {
    "data_map": "Data map",
    "training_curves": "Training",
    "distributions": "Measures",
    "correlation": "Measures",
    "detection": "Label noise",
    "suspicious": "Label noise",
    "values": "Values",
}


rule report:
    """Draw and tabulate everything that was measured."""
    input:
        [path(name, dataset=d.name) for d in CONFIG.datasets for name in ("assay", "assay_csv")],
        [path(name, dataset=d, model=m) for d, m in plan.pairs(CONFIG) for name in ("detection", "suspicious")],
        [path("figure", dataset=d, model=m, figure=f) for d, m in plan.pairs(CONFIG) for f in FIGURES],
        [path("explorer", dataset=d.name) for d in CONFIG.datasets if CONFIG.report.explorer.enabled],
        rules.data.input,
        rules.pruning.input,
        path("summary"),


rule join_assay:
    """Join every measure and value of every example into one wide table."""
    input:
        examples=path("examples"),
        card=path("card"),
        families=measured("families"),
        values=measured("values"),
    output:
        assay=path("assay"),
        csv=path("assay_csv"),
    log:
        "results/logs/join_assay/{dataset}.log",
    benchmark:
        "results/benchmarks/join_assay/{dataset}.tsv"
    params:
        main_model=main_model,
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/join_assay.py"


rule score_detection:
    """Score every measure and value as a detector of the known label noise."""
    input:
        assay=path("assay"),
    output:
        detection=path("detection"),
    log:
        "results/logs/score_detection/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/score_detection/{dataset}/{model}.tsv"
    params:
        main_model=main_model,
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_detection.py"


rule list_suspicious:
    """List the train examples that are most likely mislabelled, with a suggested label."""
    input:
        assay=path("assay"),
        card=path("card"),
        logits=lambda wildcards: plan.array_paths(CONFIG, wildcards.dataset, wildcards.model, ["logits"])["logits"],
    output:
        suspicious=report(
            path("suspicious"),
            caption="../report/suspicious.rst",
            category="Label noise",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "most suspicious examples (table)"},
        ),
    log:
        "results/logs/list_suspicious/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/list_suspicious/{dataset}/{model}.tsv"
    params:
        main_model=main_model,
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/list_suspicious.py"


rule plot_report:
    """Draw the figures of one model on one data set."""
    input:
        assay=path("assay"),
        examples=path("examples"),
        detection=path("detection"),
        suspicious=path("suspicious"),
        metrics=lambda wildcards: [
            path("metrics", dataset=wildcards.dataset, model=wildcards.model, seed=seed)
            for seed in plan.seeds_of(CONFIG, one(CONFIG.datasets, wildcards.dataset))
        ],
    output:
        **{
            figure: report(
                path("figure", figure=figure),
                caption=f"../report/{figure}.rst",
                category=category,
                labels={"data set": "{dataset}", "model": "{model}", "figure": figure.replace("_", " ")},
            )
            for figure, category in FIGURES.items()
        },
    log:
        "results/logs/plot_report/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/plot_report/{dataset}/{model}.tsv"
    params:
        main_model=main_model,
        metric=lambda wildcards: plan.metric_of(CONFIG, wildcards.dataset),
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/plot_report.py"


rule build_explorer:
    """Build the web page on which the maps are coloured, filtered, searched and selected from."""
    input:
        unpack(lambda wildcards: plan.explorer_inputs(CONFIG, wildcards.dataset)),
    output:
        explorer=report(
            path("explorer"),
            caption="../report/explorer.rst",
            category="Map",
            labels={"data set": "{dataset}", "figure": "interactive map"},
        ),
    log:
        "results/logs/build_explorer/{dataset}.log",
    benchmark:
        "results/benchmarks/build_explorer/{dataset}.tsv"
    params:
        settings=CONFIG.report.explorer.params("enabled"),
        spaces=lambda wildcards: list(plan.explorer_spaces(CONFIG, wildcards.dataset)),
        version=version("explorer"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/build_explorer.py"


rule summarise:
    """Write what a run found in a few lines: it is shown when the run ends."""
    input:
        metrics=training_files("metrics"),
        detection=[path("detection", dataset=d, model=m) for d, m in plan.pairs(CONFIG)],
        suspicious=[path("suspicious", dataset=d, model=m) for d, m in plan.pairs(CONFIG)],
        assay=[path("assay", dataset=d) for d, _ in plan.pairs(CONFIG)],
    output:
        summary=path("summary"),
    log:
        "results/logs/summarise.log",
    benchmark:
        "results/benchmarks/summarise.tsv"
    params:
        pairs=list(map(list, plan.pairs(CONFIG))),
        about={d.name: plan.report_params(CONFIG, d.name) for d in CONFIG.datasets},
        suspicious=CONFIG.report.suspicious,
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(5),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/summarise.py"


rule write_config:
    """Write the validated config with every default, beside the results it led to."""
    output:
        path("config_used"),
    log:
        "results/logs/write_config.log",
    benchmark:
        "results/benchmarks/write_config.tsv"
    params:
        config=CONFIG.params(),
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(5),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/write_config.py"
