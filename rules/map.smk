"""Maps: two coordinates per train row, for people to look at.

REQUIRED: the infoVerse matrix, the encoder's vectors and the model's features, with their neighbours.
PROVIDES: one parquet of coordinates per (model, space), and one per encoder.
"""


rule map:
    """Lay out every map."""
    input:
        [file for d, m in plan.pairs(CONFIG) for file in plan.map_files(CONFIG, d, m).values()],


rule map_model:
    """Lay out the train rows by the infoVerse or by the features of a model."""
    input:
        unpack(lambda wildcards: map_inputs(wildcards, wildcards.space)),
    output:
        map=path("map"),
    log:
        "results/logs/map_model/{dataset}/{model}/{space}.log",
    benchmark:
        "results/benchmarks/map_model/{dataset}/{model}/{space}.tsv"
    params:
        settings=CONFIG.map.params("spaces", "threads"),
        version=version("map"),
    threads: CONFIG.map.threads
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(120),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/compute_map.py"


rule map_embeddings:
    """Lay out the train rows by an encoder's vectors."""
    input:
        examples=path("examples"),
        embeddings=path("embeddings"),
        embedding_neighbors=path("embedding_neighbors"),
        embedding_distances=path("embedding_neighbors"),
    output:
        map=path("embedding_map"),
    log:
        "results/logs/map_embeddings/{dataset}/{encoder}.log",
    benchmark:
        "results/benchmarks/map_embeddings/{dataset}/{encoder}.tsv"
    params:
        settings=CONFIG.map.params("spaces", "threads"),
        version=version("map"),
    threads: CONFIG.map.threads
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(120),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/compute_map.py"
