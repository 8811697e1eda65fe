"""What every rules file uses: the validated config, paths, and the resources of a job.

REQUIRED: the merged YAML in `config`.
PROVIDES: CONFIG (validated), path(artefact, **wildcards), plan, params of the smallest block a rule needs.
"""

# On a cluster the signal before the time limit goes to every process of a job; snakemake has to outlive it.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

sys.path.insert(0, str(workflow.current_basedir.join("../workflow_scripts").get_path_or_uri(secret_free=True)))

from datassay import annotation_plan, plan, transfer_plan, value_plan
from datassay.active_learning.cells import (
    base_version,
    learning_pairs,
    loop_inputs,
    loop_params,
    minority_names,
    run_files,
    run_names,
    strategy_params,
)
from datassay.archaeology.treatments import TREATMENTS
from datassay.artefacts import path
from datassay.cleaning.cells import cleaned_cells, curve_pairs, suspicious_end
from datassay.config import one
from datassay.registry import method
from datassay.validation import ConfigError, validate
from datassay.versions import version

try:
    CONFIG = validate(config, workflow.configfiles)
except ConfigError as error:
    print(f"error: {error}".replace("\n", "\nerror: "), file=sys.stderr)
    sys.exit(1)

ANNOTATION_MODEL = CONFIG.annotation.language_model
LANGUAGE_MODEL = CONFIG.meta_information.language_model


wildcard_constraints:
    dataset=plan.names_pattern(CONFIG.datasets),
    encoder=plan.names_pattern(CONFIG.encoders),
    model=plan.names_pattern(CONFIG.models),
    seed=r"-?\d+",
    family=r"[A-Za-z0-9_-]+",
    estimator=r"[A-Za-z0-9_-]+",
    strategy=r"[A-Za-z0-9_-]+",
    ratio=r"[0-9.]+",
    shard=r"\d+",
    wave=r"\d+",
    column=r"[A-Za-z0-9_-]+",
    cut="threshold|quantile",
    utility="knn|ridge",
    space="infoverse|features",
    file="[^/]+",
    round=r"\d+",
    target=plan.names_pattern(CONFIG.datasets),
    source=f"{plan.names_pattern(CONFIG.datasets)}|{transfer_plan.BASE}",
    triple=r"\d+(-\d+-\d+)?",
    application="|".join(TREATMENTS),
    treatment="|".join(sorted({name for names in TREATMENTS.values() for name in names})),


def doubling(base):
    """Memory (MB) or time limit (minutes) of a job: twice as much with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)


def placed(resource):
    """What recording a model in several processes asks SLURM for; None, which is nothing, where it is one process."""
    return lambda wildcards: one(CONFIG.models, wildcards.model).placement().get(resource)


def source_files(wildcards):
    """Local files or folders of a data set's source."""
    settings = one(CONFIG.datasets, wildcards.dataset)
    if settings.source == "hub" or settings.source.startswith("builtin:"):
        return []
    return list(settings.path.values()) if isinstance(settings.path, dict) else [settings.path]


def encoders():
    """Every (data set, encoder) of the config."""
    return [(d.name, e.name) for d in CONFIG.datasets for e in plan.encoders_of(CONFIG, d)]


def shards(name, jobs):
    """Input function: the files of all jobs that share some work, none where there is but one job."""
    return lambda wildcards: [path(name, **wildcards, shard=s) for s in range(jobs(wildcards)) if jobs(wildcards) > 1]


def embedding_jobs(wildcards):
    """How many jobs share the work of an encoder."""
    return one(CONFIG.encoders, wildcards.encoder).jobs


def likelihood_jobs(wildcards):
    """How many jobs share the work of the language model."""
    return LANGUAGE_MODEL.jobs if LANGUAGE_MODEL else 1


def training_files(name):
    """One recorded file of every (data set, model, seed)."""
    return [
        path(name, dataset=d, model=m, seed=s)
        for d, m in plan.pairs(CONFIG)
        for s in plan.seeds_of(CONFIG, one(CONFIG.datasets, d))
    ]


def model_inputs(dataset, model):
    """What a model is trained from: the examples, their card, and for a head the vectors."""
    inputs = {name: path(name, dataset=dataset) for name in ("examples", "card")}
    if one(CONFIG.models, model).recipe == "head":
        inputs["vectors"] = path("embeddings", dataset=dataset, encoder=plan.encoder_of(CONFIG, dataset, model))
    return inputs


def method_inputs(kind, wildcard):
    """Input function: the recorded arrays, measures and values that a registered method asks for."""
    return lambda wildcards: plan.method_inputs(
        CONFIG, method(kind, getattr(wildcards, wildcard)), wildcards.dataset, wildcards.model
    )


def ranking_inputs(wildcards):
    """What a strategy ranks by."""
    about = plan.strategy_of(CONFIG, wildcards.strategy)
    return plan.method_inputs(CONFIG, about, wildcards.dataset, wildcards.model)


def map_inputs(wildcards, space):
    """The points of a map and, where they are shared with others, their neighbours."""
    names = {"infoverse": ["infoverse"], "features": ["features", "feature_neighbors", "feature_distances"]}[space]
    arrays = plan.array_paths(CONFIG, wildcards.dataset, wildcards.model, names)
    return {"examples": path("examples", dataset=wildcards.dataset), **arrays}


def retrain_inputs(wildcards):
    """What the retrained model is trained from, and the ranking that says on which rows."""
    ranking = path("ranking", dataset=wildcards.dataset, model=wildcards.model, strategy=wildcards.strategy)
    retrained = plan.retrain_model(CONFIG, wildcards.model).name
    return {"ranking": ranking, **model_inputs(wildcards.dataset, retrained)}


def kept_inputs(wildcards):
    """What says which train rows to keep: the examples, the column it goes by, and the encoder's vectors."""
    names = [wildcards.column, "embeddings"]
    arrays = plan.array_paths(CONFIG, wildcards.dataset, wildcards.model, names)
    return {
        "examples": path("examples", dataset=wildcards.dataset),
        "score": arrays[wildcards.column],
        "embeddings": arrays["embeddings"],
    }


def cleaned_inputs(wildcards):
    """What the retrained model is trained from, and the rows that are kept."""
    place = {name: getattr(wildcards, name) for name in ("dataset", "model", "column", "cut")}
    retrained = plan.retrain_model(CONFIG, wildcards.model).name
    return {"kept": path("kept", **place), **model_inputs(wildcards.dataset, retrained)}


def cleaned_files(name):
    """Input function: one file of every way of cleaning a (data set, model)."""
    return lambda wildcards: [
        path(name, dataset=wildcards.dataset, model=wildcards.model, column=column, cut=cut)
        for column, cut in cleaned_cells(CONFIG, wildcards.dataset)
    ]


def learning_inputs(wildcards):
    """What a run of active learning reads."""
    return loop_inputs(CONFIG, wildcards.dataset, wildcards.model, wildcards.strategy)


def treated_inputs(wildcards):
    """What a treated model is trained from, and what says how it is treated."""
    place = {"dataset": wildcards.dataset, "model": wildcards.model}
    retrained = plan.retrain_model(CONFIG, wildcards.model).name
    told = {"family": path("family", **place, family=plan.ARCHAEOLOGY), "trajectories": path("trajectories", **place)}
    return told | model_inputs(wildcards.dataset, retrained)


def application_files(application):
    """Table and figure of an application, on every data set that it makes sense for."""
    pairs = plan.application_pairs(CONFIG, application)
    name = {"noise_detection": "noise_detection", "ood_detection": "outside"}.get(application, "treatments")
    files = [path(name, dataset=d, model=m, application=application) for d, m in pairs]
    return files + [path("figure", dataset=d, model=m, figure=application) for d, m in pairs]


def measured(name):
    """Input function: every measure family, or every value, of all models of a data set."""
    return lambda wildcards: [
        file
        for dataset, model in plan.pairs(CONFIG)
        if dataset == wildcards.dataset
        for file in plan.measured_files(CONFIG, dataset, model)[name]
    ]


def main_model(wildcards):
    """The model whose columns stand in the assay under their plain names."""
    return plan.models_of(CONFIG, one(CONFIG.datasets, wildcards.dataset))[0].name


def show_summary():
    """Print what the run found, if it came that far."""
    summary = Path(path("summary"))
    if summary.is_file():
        print(summary.read_text(encoding="utf-8"), file=sys.stderr)
