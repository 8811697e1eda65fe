"""What people are asked next, and what becomes of their answers.

REQUIRED: a data set with a pool, its trained model; files that came back, in resources/annotations/{dataset}.
PROVIDES: examples.parquet with the answers merged, the next batch in every form, tables and figures about the rounds.
"""


localrules:
    read_answers,
    merge_annotations,
    export_batch,
    report_annotation,


rule annotate:
    """Write what people are to label next, and what the rounds so far have brought."""
    input:
        annotation_plan.batch_files(CONFIG),
        annotation_plan.report_files(CONFIG),


use rule prepare_dataset as prepare_source with:
    output:
        examples=path("source_examples"),
        card=path("source_card"),
    log:
        "results/logs/prepare_source/{dataset}.log",
    benchmark:
        "results/benchmarks/prepare_source/{dataset}.tsv"


rule read_answers:
    """Read and check the answers of one file; with a fault in it nothing is merged and nothing lost."""
    input:
        file=lambda wildcards: annotation_plan.answer_file(wildcards.dataset, wildcards.file),
        examples=path("source_examples"),
        card=path("source_card"),
    output:
        answers=path("answers"),
    log:
        "results/logs/read_answers/{dataset}/{file}.log",
    benchmark:
        "results/benchmarks/read_answers/{dataset}/{file}.tsv"
    params:
        numbers=lambda wildcards: annotation_plan.numbers(CONFIG, wildcards.dataset),
        others=lambda wildcards, input: annotation_plan.answer_files(wildcards.dataset),
        version=version("read_answers"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/read_answers.py"


rule merge_annotations:
    """Make one label of all answers to an example, and train rows of what is labelled."""
    input:
        examples=path("source_examples"),
        card=path("source_card"),
        answers=lambda wildcards: annotation_plan.checked_answers(wildcards.dataset),
    output:
        examples=path("examples", dataset=plan.dataset_pattern(CONFIG, "annotated")),
        card=path("card", dataset=plan.dataset_pattern(CONFIG, "annotated")),
        answers=path("all_answers", dataset=plan.dataset_pattern(CONFIG, "annotated")),
        labels=path("annotated_labels", dataset=plan.dataset_pattern(CONFIG, "annotated")),
        csv=path("annotated_labels_csv", dataset=plan.dataset_pattern(CONFIG, "annotated")),
        annotators=path("annotators", dataset=plan.dataset_pattern(CONFIG, "annotated")),
    log:
        "results/logs/merge_annotations/{dataset}.log",
    benchmark:
        "results/benchmarks/merge_annotations/{dataset}.tsv"
    params:
        rounds=lambda wildcards: annotation_plan.rounds(wildcards.dataset),
        aggregation=CONFIG.annotation.aggregation,
        bins=CONFIG.annotation.bins,
        version=version("merge_annotations"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/merge_annotations.py"


rule score_pool:
    """Score how expected each text of the pool is, by a causal language model; a killed job goes on where it was."""
    input:
        examples=path("source_examples"),
    output:
        log_likelihood=path("pool_likelihood"),
    log:
        "results/logs/score_pool/{dataset}.log",
    benchmark:
        "results/benchmarks/score_pool/{dataset}.tsv"
    params:
        settings=ANNOTATION_MODEL.scoring() if ANNOTATION_MODEL else None,
        split="pool",
        version=version("score_likelihood"),
    threads: ANNOTATION_MODEL.threads if ANNOTATION_MODEL else 1
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
        gpu=ANNOTATION_MODEL.gpu if ANNOTATION_MODEL else 0,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/score_likelihood.py"


rule filter_pool:
    """Find what of the pool is not worth a person's time."""
    input:
        unpack(lambda wildcards: annotation_plan.filter_inputs(CONFIG, wildcards.dataset)),
    output:
        pool=path("pool"),
        filters=path("filters"),
    log:
        "results/logs/filter_pool/{dataset}/round_{round}.log",
    benchmark:
        "results/benchmarks/filter_pool/{dataset}/round_{round}.tsv"
    params:
        settings=CONFIG.annotation.filters.params(),
        version=version("filter_pool"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(120),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/filter_pool.py"


rule choose_batch:
    """Choose what people are asked next."""
    input:
        unpack(lambda wildcards: annotation_plan.batch_inputs(CONFIG, wildcards.dataset, wildcards.round)),
    output:
        batch=path("batch"),
    log:
        "results/logs/choose_batch/{dataset}/round_{round}.log",
    benchmark:
        "results/benchmarks/choose_batch/{dataset}/round_{round}.tsv"
    params:
        settings=lambda wildcards: annotation_plan.batch_params(CONFIG, wildcards.dataset),
        strategy_version=lambda wildcards: plan.method_version("acquisition", CONFIG.annotation.strategy),
        version=version("choose_batch"),
    threads: 1
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(120),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/choose_batch.py"


rule export_batch:
    """Write the batch in the forms that people and their tools take."""
    input:
        batch=path("batch"),
        examples=path("examples"),
        card=path("card"),
    output:
        csv=path("batch_csv"),
        label_studio=path("label_studio"),
        interface=path("label_studio_interface"),
        mturk=path("mturk"),
        mturk_page=path("mturk_page"),
        images=directory(path("batch_images")),
    log:
        "results/logs/export_batch/{dataset}/round_{round}.log",
    benchmark:
        "results/benchmarks/export_batch/{dataset}/round_{round}.tsv"
    params:
        question=CONFIG.annotation.question,
        image_url=CONFIG.annotation.image_url,
        numbers=lambda wildcards: annotation_plan.numbers(CONFIG, wildcards.dataset),
        version=version("export_batch"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/export_batch.py"


rule follow_round:
    """Retrain with the labels of all rounds up to one, and with as many that were chosen in other ways."""
    input:
        unpack(lambda wildcards: annotation_plan.progress_inputs(CONFIG, wildcards.dataset, wildcards.round)),
    output:
        progress=path("round_progress"),
        picks=path("round_picks"),
    log:
        "results/logs/follow_round/{dataset}/round_{round}.log",
    benchmark:
        "results/benchmarks/follow_round/{dataset}/round_{round}.tsv"
    params:
        settings=lambda wildcards: plan.retrain_model(
            CONFIG, annotation_plan.model_of(CONFIG, wildcards.dataset)
        ).recipe_params(),
        seeds=lambda wildcards: plan.seeds_of(CONFIG, one(CONFIG.datasets, wildcards.dataset)),
        rounds=lambda wildcards: annotation_plan.rounds(wildcards.dataset, int(wildcards.round)),
        aggregation=CONFIG.annotation.aggregation,
        bins=CONFIG.annotation.bins,
        compare=CONFIG.annotation.compare,
        version=version("follow_round"),
    threads: lambda wildcards: plan.retrain_model(CONFIG, annotation_plan.model_of(CONFIG, wildcards.dataset)).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
        gpu=lambda wildcards: plan.retrain_model(CONFIG, annotation_plan.model_of(CONFIG, wildcards.dataset)).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/follow_round.py"


rule report_annotation:
    """Tabulate and draw the rounds: what the model learnt, how people agree, how the classes fill."""
    input:
        answers=path("all_answers"),
        labels=path("annotated_labels"),
        card=path("source_card"),
        progress=lambda wildcards: annotation_plan.round_files("round_progress", wildcards.dataset),
    output:
        **{
            figure: report(
                path("annotation_figure", figure=figure),
                caption=f"../report/annotation_{figure}.rst",
                category="Annotation",
                labels={"data set": "{dataset}", "figure": figure},
            )
            for figure in annotation_plan.FIGURES
        },
        rounds=report(
            path("round_table"),
            caption="../report/annotation_rounds.rst",
            category="Annotation",
            labels={"data set": "{dataset}", "figure": "rounds (table)"},
        ),
        budget=report(
            path("budget_table"),
            caption="../report/annotation_progress.rst",
            category="Annotation",
            labels={"data set": "{dataset}", "figure": "progress (table)"},
        ),
    log:
        "results/logs/report_annotation/{dataset}.log",
    benchmark:
        "results/benchmarks/report_annotation/{dataset}.tsv"
    params:
        metric=lambda wildcards: plan.metric_of(CONFIG, wildcards.dataset),
        numbers=lambda wildcards: annotation_plan.numbers(CONFIG, wildcards.dataset),
        version=version("report_annotation"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/report_annotation.py"
