"""What comes of metadata archaeology: label noise found and corrected, minority groups, batches, what is outside.

REQUIRED: data sets with probes: their trajectories and the family `archaeology`; groups for minority_groups.
PROVIDES: one table and one figure per application; every application is a target.
"""


localrules:
    detect_noise,
    compare_treatments,
    detect_outside,


rule noise_detection:
    """Compare MAP-D with other detectors of wrong labels."""
    input:
        application_files("noise_detection"),


rule noise_correction:
    """Retrain on labels that are kept, dropped or corrected by MAP-D."""
    input:
        application_files("noise_correction"),


rule minority_groups:
    """Retrain with small groups weighted up, found from a few rows whose group is known."""
    input:
        application_files("minority_groups"),


rule prioritised_training:
    """Retrain with steps that choose what is learnable, not noisy and not yet learnt."""
    input:
        application_files("prioritised_training"),


rule ood_detection:
    """Tell what is out of distribution by the logits of all epochs."""
    input:
        application_files("ood_detection"),


rule detect_noise:
    """Compare MAP-D with other detectors of wrong labels."""
    input:
        assay=path("assay"),
    output:
        csv=report(
            path("noise_detection"),
            caption="../report/noise_detection.rst",
            category="Archaeology",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "noise detection (table)"},
        ),
        figure=report(
            path("figure", figure="noise_detection"),
            caption="../report/noise_detection.rst",
            category="Archaeology",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "noise detection"},
        ),
    log:
        "results/logs/detect_noise/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/detect_noise/{dataset}/{model}.tsv"
    params:
        main_model=main_model,
        version=version("detect_noise"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/detect_noise.py"


rule retrain_treated:
    """Retrain with one treatment of what the probes tell, with every seed."""
    input:
        unpack(treated_inputs),
    output:
        results=path("treated"),
    log:
        "results/logs/retrain_treated/{dataset}/{model}/{application}/{treatment}.log",
    benchmark:
        "results/benchmarks/retrain_treated/{dataset}/{model}/{application}/{treatment}.tsv"
    params:
        settings=lambda wildcards: plan.retrain_model(CONFIG, wildcards.model).recipe_params(),
        seeds=lambda wildcards: plan.seeds_of(CONFIG, one(CONFIG.datasets, wildcards.dataset)),
        applied=CONFIG.archaeology.params("applications", "top_logits"),
        version=f'{version("retrain")}.{version("treatments")}',
    threads: lambda wildcards: plan.retrain_model(CONFIG, wildcards.model).threads
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(240),
        gpu=lambda wildcards: plan.retrain_model(CONFIG, wildcards.model).one_gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/retrain_treated.py"


rule compare_treatments:
    """Compare the treatments of an application, seed by seed."""
    input:
        results=lambda wildcards: [
            path("treated", treatment=treatment, **dict(wildcards.items()))
            for treatment in TREATMENTS[wildcards.application]
        ],
    output:
        csv=report(
            path("treatments"),
            caption="../report/treatments.rst",
            category="Archaeology",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "{application} (table)"},
        ),
        figure=report(
            path("figure", figure="{application}"),
            caption="../report/treatments.rst",
            category="Archaeology",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "{application}"},
        ),
    log:
        "results/logs/compare_treatments/{dataset}/{model}/{application}.log",
    benchmark:
        "results/benchmarks/compare_treatments/{dataset}/{model}/{application}.tsv"
    params:
        version=version("compare_treatments"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(10),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/compare_treatments.py"


rule detect_outside:
    """Tell what is out of distribution by the logits of all epochs."""
    input:
        examples=path("examples"),
        probes=path("probes"),
        logits=lambda wildcards: plan.array_paths(CONFIG, wildcards.dataset, wildcards.model, ["logits"])["logits"],
    output:
        scores=path("outside_scores"),
        csv=report(
            path("outside"),
            caption="../report/ood_detection.rst",
            category="Archaeology",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "out of distribution (table)"},
        ),
        figure=report(
            path("figure", figure="ood_detection"),
            caption="../report/ood_detection.rst",
            category="Archaeology",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "out of distribution"},
        ),
    log:
        "results/logs/detect_outside/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/detect_outside/{dataset}/{model}.tsv"
    params:
        settings={"k": CONFIG.archaeology.k, "top": CONFIG.archaeology.top_logits, "seed": CONFIG.archaeology.seed},
        version=version("detect_outside"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/detect_outside.py"
