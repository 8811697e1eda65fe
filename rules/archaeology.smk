"""Metadata archaeology: which kind of probe every train row behaves like.

REQUIRED: data sets with probes, and the logits of all seeds.
PROVIDES: trajectories.npz, categories.parquet, evaluation.json and their figures. The family `archaeology` of measures
reads the trajectories, so that categories and vote shares stand in the assay.
"""


localrules:
    evaluate_probes,
    plot_archaeology,


ARCHAEOLOGY_FIGURES = [
    "probe_curves",
    "learned",
    "probe_losses",
    "probe_trajectories",
    "probe_confusion",
    "memorisation",
    "probe_gallery",
    "category_gallery",
]


rule archaeology:
    """Assign the train rows of every data set with probes to categories, and evaluate that on held-out probes."""
    input:
        [
            path(name, dataset=d, model=m)
            for d, m in plan.probed_pairs(CONFIG)
            for name in ("categories", "probe_evaluation")
        ],
        [
            path("figure", dataset=d, model=m, figure=f)
            for d, m in plan.probed_pairs(CONFIG)
            for f in ARCHAEOLOGY_FIGURES
        ],


rule record_trajectories:
    """Take the losses of train rows and probes after every epoch from the recorded logits."""
    input:
        examples=path("examples"),
        probes=path("probes"),
        logits=lambda wildcards: [
            path("logits", dataset=wildcards.dataset, model=wildcards.model, seed=seed)
            for seed in plan.seeds_of(CONFIG, one(CONFIG.datasets, wildcards.dataset))
        ],
    output:
        trajectories=path("trajectories"),
    log:
        "results/logs/record_trajectories/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/record_trajectories/{dataset}/{model}.tsv"
    params:
        version=version("record_trajectories"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/record_trajectories.py"


rule evaluate_probes:
    """Compare the categories of held-out probes with what they are, and list those of the train rows."""
    input:
        examples=path("examples"),
        trajectories=path("trajectories"),
        family=path("family", family=plan.ARCHAEOLOGY),
        probes=path("probes"),
        typicality=path("typicality"),
    output:
        categories=path("categories"),
        evaluation=path("probe_evaluation"),
    log:
        "results/logs/evaluate_probes/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/evaluate_probes/{dataset}/{model}.tsv"
    params:
        options=plan.options_of(CONFIG, "measure", plan.ARCHAEOLOGY),
        version=version("evaluate_probes"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/evaluate_probes.py"


rule plot_archaeology:
    """Draw how probes and train rows were learnt, and show the clearest examples of every category."""
    input:
        examples=path("examples"),
        card=path("card"),
        probes=path("probes"),
        typicality=path("typicality"),
        trajectories=path("trajectories"),
        categories=path("categories"),
        evaluation=path("probe_evaluation"),
    output:
        **{
            figure: report(
                path("figure", figure=figure),
                caption=f"../report/{figure}.rst",
                category="Archaeology",
                labels={"data set": "{dataset}", "model": "{model}", "figure": figure.replace("_", " ")},
            )
            for figure in ARCHAEOLOGY_FIGURES
        },
        audit=report(
            path("audit"),
            caption="../report/category_gallery.rst",
            category="Archaeology",
            labels={"data set": "{dataset}", "model": "{model}", "figure": "clearest examples (table)"},
        ),
    log:
        "results/logs/plot_archaeology/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/plot_archaeology/{dataset}/{model}.tsv"
    params:
        version=version("report"),
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/plot_archaeology.py"
