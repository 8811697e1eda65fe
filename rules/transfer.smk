"""On which data set to fine-tune first: embedding space maps of sources, and their ranking for targets.

REQUIRED: examples.parquet and card.json of sources and targets; a model of recipe finetune.
PROVIDES: one ESM per source (resources/esms), the index, a ranking per target; baselines, real transfers and their
comparison where the config asks for them.
"""


localrules:
    index_esms,
    compare_rankings,


rule transfer:
    """Rank the sources for every target."""
    input:
        transfer_plan.files(CONFIG),


rule build_esm:
    """Fine-tune the base model on a source and fit its embedding space map; a killed job goes on where it was."""
    input:
        unpack(lambda wildcards: transfer_plan.build_inputs(CONFIG, wildcards.source)),
    output:
        esm=directory(path("esm")),
        model=directory(path("source_model")),
        seconds=path("source_times"),
    log:
        "results/logs/build_esm/{model}/{source}.log",
    benchmark:
        "results/benchmarks/build_esm/{model}/{source}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.models, wildcards.model).recipe_params(),
        how=lambda wildcards: transfer_plan.build_params(CONFIG, wildcards.source),
        about=lambda wildcards: transfer_plan.about_source(CONFIG, wildcards.source),
        version=version("build_esm"),
    threads: lambda wildcards: one(CONFIG.models, wildcards.model).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
        gpu=lambda wildcards: one(CONFIG.models, wildcards.model).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/build_esm.py"


rule embed_target:
    """Embed the rows of a target that the ranking sees, and keep what linear maps are scored by."""
    input:
        examples=lambda wildcards: path("examples", dataset=wildcards.target),
        card=lambda wildcards: path("card", dataset=wildcards.target),
    output:
        embeddings=path("target_embeddings"),
        rows=path("target_rows"),
        statistics=path("target_statistics"),
        seconds=path("target_times"),
    log:
        "results/logs/embed_target/{target}.log",
    benchmark:
        "results/benchmarks/embed_target/{target}.tsv"
    params:
        settings=lambda wildcards: transfer_plan.source_model(CONFIG).recipe_params(),
        how=transfer_plan.target_params(CONFIG),
        version=version("embed_target"),
    threads: lambda wildcards: transfer_plan.source_model(CONFIG).threads
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
        gpu=lambda wildcards: transfer_plan.source_model(CONFIG).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/embed_target.py"


rule index_esms:
    """List every ESM: those of the config's sources and those of the registries."""
    input:
        own=lambda wildcards: transfer_plan.of_sources(CONFIG, "esm"),
        further=lambda wildcards: transfer_plan.registry_files(CONFIG),
    output:
        index=path("esm_index"),
        csv=path("esm_index_csv"),
    log:
        "results/logs/index_esms.log",
    benchmark:
        "results/benchmarks/index_esms.tsv"
    params:
        own=transfer_plan.of_sources(CONFIG, "esm"),
        registries=CONFIG.transfer.registries,
        version=version("rank_sources"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/index_esms.py"


rule rank_sources:
    """Rank the ESMs for a target, from its statistics; intervals from its embeddings."""
    input:
        index=path("esm_index"),
        embeddings=path("target_embeddings"),
        rows=path("target_rows"),
        statistics=path("target_statistics"),
        esms=lambda wildcards: transfer_plan.of_sources(CONFIG, "esm"),
    output:
        ranking=path("transfer_ranking"),
        csv=report(
            path("transfer_csv"),
            caption="../report/transfer_ranking.rst",
            category="Transfer",
            labels={"target": "{target}", "figure": "ranking (table)"},
        ),
        markdown=path("transfer_markdown"),
        seconds=path("ranking_times"),
        figure=report(
            path("transfer_figure"),
            caption="../report/transfer_ranking.rst",
            category="Transfer",
            labels={"target": "{target}", "figure": "ranking"},
        ),
    log:
        "results/logs/rank_sources/{target}.log",
    benchmark:
        "results/benchmarks/rank_sources/{target}.tsv"
    params:
        about=lambda wildcards: transfer_plan.ranking_params(CONFIG, wildcards.target),
        version=version("rank_sources"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/rank_sources.py"


rule embed_task:
    """Say which weights matter for a data set: by its source's model, or by one fine-tuned on a target's rows."""
    input:
        unpack(lambda wildcards: transfer_plan.task_inputs(CONFIG, wildcards.source)),
    output:
        embedding=path("task_embedding"),
        seconds=path("task_times"),
    log:
        "results/logs/embed_task/{model}/{source}.log",
    benchmark:
        "results/benchmarks/embed_task/{model}/{source}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.models, wildcards.model).recipe_params(),
        how=transfer_plan.task_params(CONFIG),
        version=version("embed_task"),
    threads: lambda wildcards: one(CONFIG.models, wildcards.model).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(120),
        gpu=lambda wildcards: one(CONFIG.models, wildcards.model).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/embed_task.py"


rule score_baselines:
    """Score every source for a target by other methods; a killed job goes on at its next source."""
    input:
        unpack(lambda wildcards: transfer_plan.baseline_inputs(CONFIG, wildcards.target)),
    output:
        baselines=path("baselines"),
        seconds=path("baseline_times"),
    log:
        "results/logs/score_baselines/{target}.log",
    benchmark:
        "results/benchmarks/score_baselines/{target}.tsv"
    params:
        settings=lambda wildcards: transfer_plan.source_model(CONFIG).recipe_params(),
        how=transfer_plan.baseline_params(CONFIG),
        sources=lambda wildcards: transfer_plan.sources_for(CONFIG, wildcards.target),
        version=version("score_baselines"),
    threads: lambda wildcards: transfer_plan.source_model(CONFIG).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(120),
        gpu=lambda wildcards: transfer_plan.source_model(CONFIG).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_baselines.py"


rule make_transfer:
    """Fine-tune a source's model on a target with every seed: the truth that rankings are held against."""
    input:
        unpack(lambda wildcards: transfer_plan.transfer_inputs(CONFIG, wildcards.target, wildcards.source)),
    output:
        results=path("ground_truth"),
    log:
        "results/logs/make_transfer/{target}/{source}.log",
    benchmark:
        "results/benchmarks/make_transfer/{target}/{source}.tsv"
    params:
        settings=lambda wildcards: transfer_plan.source_model(CONFIG).recipe_params(),
        how=transfer_plan.transfer_params(CONFIG),
        version=version("make_transfer"),
    threads: lambda wildcards: transfer_plan.source_model(CONFIG).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(120),
        gpu=lambda wildcards: transfer_plan.source_model(CONFIG).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/make_transfer.py"


rule compare_rankings:
    """Hold every ranking against the real transfers."""
    input:
        unpack(lambda wildcards: transfer_plan.evaluation_inputs(CONFIG)),
    output:
        table=path("transfer_table"),
        csv=report(
            path("transfer_table_csv"),
            caption="../report/transfer_table.rst",
            category="Transfer",
            labels={"figure": "methods (table)"},
        ),
        markdown=path("transfer_table_markdown"),
        figure=report(
            path("transfer_table_figure"),
            caption="../report/transfer_table.rst",
            category="Transfer",
            labels={"figure": "methods"},
        ),
    log:
        "results/logs/compare_rankings.log",
    benchmark:
        "results/benchmarks/compare_rankings.tsv"
    params:
        **transfer_plan.evaluation_params(CONFIG),
        version=version("compare_rankings"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/compare_rankings.py"
