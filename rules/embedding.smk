"""Vectors of every example, and neighbours: exact among the train rows, approximate among all.

REQUIRED: examples.parquet; for the neighbours in a model's features its training.
PROVIDES: vectors.npy, index.bin and index.json (approximate, with its recall), and one neighbors.npz per space.
"""


rule embedding:
    """Embed and index every data set."""
    input:
        [path("embeddings", dataset=d, encoder=e) for d, e in encoders()],
        [path("embedding_neighbors", dataset=d, encoder=e) for d, e in encoders()],
        [path("index_card", dataset=d, encoder=e) for d, e in encoders()],


rule embed_shard:
    """Encode one job's share of the examples."""
    input:
        examples=lambda wildcards: annotation_plan.contents_file(CONFIG, wildcards.dataset),
        given=lambda wildcards: one(CONFIG.encoders, wildcards.encoder).path or [],
    output:
        vectors=temp(path("embedding_shard")),
    log:
        "results/logs/embed_shard/{dataset}/{encoder}/shard{shard}.log",
    benchmark:
        "results/benchmarks/embed_shard/{dataset}/{encoder}/shard{shard}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.encoders, wildcards.encoder).encoding(),
        part=lambda wildcards: [int(wildcards.shard), embedding_jobs(wildcards)],
        version=version("embed"),
    threads: lambda wildcards: one(CONFIG.encoders, wildcards.encoder).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(120),
        gpu=lambda wildcards: one(CONFIG.encoders, wildcards.encoder).gpu,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/embed.py"


rule embed:
    """Encode every example as a vector, or read the vectors of a user's file, or join what several jobs encoded."""
    input:
        examples=lambda wildcards: annotation_plan.contents_file(CONFIG, wildcards.dataset),
        given=lambda wildcards: one(CONFIG.encoders, wildcards.encoder).path or [],
        shards=shards("embedding_shard", embedding_jobs),
    output:
        vectors=path("embeddings"),
    log:
        "results/logs/embed/{dataset}/{encoder}.log",
    benchmark:
        "results/benchmarks/embed/{dataset}/{encoder}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.encoders, wildcards.encoder).encoding(),
        version=version("embed"),
    threads: lambda wildcards: one(CONFIG.encoders, wildcards.encoder).threads
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(120),
        gpu=lambda wildcards: one(CONFIG.encoders, wildcards.encoder).gpu if embedding_jobs(wildcards) == 1 else 0,
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/embed.py"


rule find_neighbors_shard:
    """Find the exact nearest neighbours of one job's share of the train rows in an encoder's vectors."""
    input:
        examples=path("examples"),
        points=path("embeddings"),
    output:
        neighbors=temp(path("embedding_neighbors_shard")),
    log:
        "results/logs/find_neighbors_shard/{dataset}/{encoder}/shard{shard}.log",
    benchmark:
        "results/benchmarks/find_neighbors_shard/{dataset}/{encoder}/shard{shard}.tsv"
    params:
        k=CONFIG.neighbors.k,
        part=lambda wildcards: [int(wildcards.shard), CONFIG.neighbors.jobs],
        version=version("find_neighbors"),
    threads: 4
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/find_neighbors.py"


rule find_neighbors:
    """Find the exact nearest neighbours of every train row in an encoder's vectors."""
    input:
        examples=path("examples"),
        points=path("embeddings"),
        shards=shards("embedding_neighbors_shard", lambda wildcards: CONFIG.neighbors.jobs),
    output:
        neighbors=path("embedding_neighbors"),
    log:
        "results/logs/find_neighbors/{dataset}/{encoder}.log",
    benchmark:
        "results/benchmarks/find_neighbors/{dataset}/{encoder}.tsv"
    params:
        k=CONFIG.neighbors.k,
        version=version("find_neighbors"),
    threads: 4
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/find_neighbors.py"


rule find_feature_neighbors_shard:
    """Find the exact nearest neighbours of one job's share of the train rows in a model's features."""
    input:
        examples=path("examples"),
        points=path("features"),
    output:
        neighbors=temp(path("feature_neighbors_shard")),
    log:
        "results/logs/find_feature_neighbors_shard/{dataset}/{model}/seed{seed}/shard{shard}.log",
    benchmark:
        "results/benchmarks/find_feature_neighbors_shard/{dataset}/{model}/seed{seed}/shard{shard}.tsv"
    params:
        k=CONFIG.neighbors.k,
        part=lambda wildcards: [int(wildcards.shard), CONFIG.neighbors.jobs],
        version=version("find_neighbors"),
    threads: 4
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/find_neighbors.py"


rule find_feature_neighbors:
    """Find the exact nearest neighbours of every train row in a model's features."""
    input:
        examples=path("examples"),
        points=path("features"),
        shards=shards("feature_neighbors_shard", lambda wildcards: CONFIG.neighbors.jobs),
    output:
        neighbors=path("feature_neighbors"),
    log:
        "results/logs/find_feature_neighbors/{dataset}/{model}/seed{seed}.log",
    benchmark:
        "results/benchmarks/find_feature_neighbors/{dataset}/{model}/seed{seed}.tsv"
    params:
        k=CONFIG.neighbors.k,
        version=version("find_neighbors"),
    threads: 4
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/find_neighbors.py"


rule build_index:
    """Build the approximate neighbour index and measure its recall."""
    input:
        vectors=path("embeddings"),
    output:
        index=path("index"),
        card=path("index_card"),
    log:
        "results/logs/build_index/{dataset}/{encoder}.log",
    benchmark:
        "results/benchmarks/build_index/{dataset}/{encoder}.tsv"
    params:
        settings=lambda wildcards: one(CONFIG.encoders, wildcards.encoder).index.params("recall_at"),
        k=lambda wildcards: one(CONFIG.encoders, wildcards.encoder).index.recall_at,
        version=version("build_index"),
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(60),
    conda:
        "../envs/core.yaml"
    script:
        "../workflow_scripts/build_index.py"
