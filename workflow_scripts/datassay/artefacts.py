"""What every file of results/ is: where it lies, what it holds, which rule writes it.

The rules take their paths from here, the scripts their checks, and docs/outputs.md is generated from it.
Row order is the join key: "N" is the rows of examples.parquet, "n" its train rows, both in that order.
"""

from dataclasses import dataclass

from datassay.errors import DatassayError, did_you_mean


@dataclass(frozen=True)
class Artefact:
    """One kind of file. shape and dtype are for readers; `load` checks are made where a file is read."""

    name: str
    path: str
    rule: str
    holds: str
    shape: str = ""
    dtype: str = ""


_ANNOTATION = "results/{dataset}/annotation"
_TRAINING = "results/{dataset}/training/{model}/seed{seed}"
_CELL = "results/{dataset}/pruning/{model}/{strategy}"
_ARCHAEOLOGY = "results/{dataset}/archaeology/{model}"
_LEARNING = "results/{dataset}/active_learning/{model}"
_RUN = f"{_LEARNING}/{{strategy}}/seed{{triple}}"
_CLEANED = "results/{dataset}/cleaning/{model}/{column}/{cut}"

ARTEFACTS: dict[str, Artefact] = {
    artefact.name: artefact
    for artefact in (
        Artefact(
            "examples",
            "results/{dataset}/examples.parquet",
            "prepare_dataset",
            "one row per example: example_id, split (train, validation, valuation, test, pool; probes: probe, "
            "unseen), label (given, a class number; regression: float64, NaN unknown; "
            "multiple choice: number of the right option), true_label, is_noisy (injected), is_probe, text, text_b, "
            "options | image {bytes, path}",
            "N rows",
        ),
        Artefact(
            "card",
            "results/{dataset}/card.json",
            "prepare_dataset",
            "name, modality, task, label names, counts per split and class (regression: statistics of the labels), "
            "noise, source, revision, sha256",
        ),
        Artefact(
            "prepared",
            "results/{dataset}/probes/prepared.parquet",
            "prepare_for_probes",
            "the examples before probes are planted, and source_row",
            "N rows without the planted ones",
        ),
        Artefact("prepared_card", "results/{dataset}/probes/card.json", "prepare_for_probes", "their card"),
        Artefact(
            "prepared_vectors",
            "results/{dataset}/probes/vectors.npy",
            "embed_for_probes",
            "their vectors by the main encoder, where typical rows are found from them",
            "[., d]",
            "float32",
        ),
        Artefact(
            "consistency",
            "results/{dataset}/probes/consistency.parquet",
            "score_consistency",
            "example_id, consistency, margin: how often, and how clearly, a head that did not see a train row says its "
            "label",
            "train rows before planting",
        ),
        Artefact(
            "probes",
            "results/{dataset}/probes/probes.parquet",
            "plant_probes",
            "example_id, suite, half (reference, evaluation, unseen), original_label (-1: the row did not exist)",
        ),
        Artefact(
            "typicality",
            "results/{dataset}/probes/typicality.parquet",
            "plant_probes",
            "example_id and the score by which typical and atypical probes were chosen, high = typical; no rows where "
            "none was needed",
            "train rows before planting",
        ),
        Artefact("card_figure", "results/{dataset}/report/data_card.png", "plot_data_card", "the data card, drawn"),
        Artefact(
            "embeddings",
            "results/{dataset}/embeddings/{encoder}/vectors.npy",
            "embed",
            "encoder vectors, of unit length unless the encoder's unit_length is off",
            "[N, d]",
            "float32",
        ),
        Artefact(
            "embedding_shard",
            "results/{dataset}/embeddings/{encoder}/shards/{shard}.npy",
            "embed_shard",
            "one job's rows of the vectors, where the encoder's `jobs` share the work; removed when they are joined",
            "[rows, d]",
            "float32",
        ),
        Artefact(
            "index",
            "results/{dataset}/embeddings/{encoder}/index.bin",
            "build_index",
            "HNSW index of all vectors (hnswlib)",
        ),
        Artefact(
            "index_card",
            "results/{dataset}/embeddings/{encoder}/index.json",
            "build_index",
            "index parameters and recall against exact neighbours",
        ),
        Artefact(
            "embedding_neighbors",
            "results/{dataset}/embeddings/{encoder}/neighbors.npz",
            "find_neighbors",
            "exact nearest train rows of every train row in the vectors, itself left out, nearest first: ids [n, k] "
            "int32 (numbers of train rows), distances [n, k] float32 (Euclidean)",
        ),
        Artefact(
            "embedding_neighbors_shard",
            "results/{dataset}/embeddings/{encoder}/neighbors/{shard}.npz",
            "find_neighbors_shard",
            "one job's rows of the neighbours, where `neighbors.jobs` share the work; removed when they are joined",
        ),
        Artefact(
            "embedding_map",
            "results/{dataset}/embeddings/{encoder}/map.parquet",
            "map_embeddings",
            "2-D t-SNE of the train rows' vectors: example_id, x, y (float32)",
            "n rows",
        ),
        Artefact(
            "logits",
            f"{_TRAINING}/logits.npy",
            "train",
            "logits of all examples after every epoch, in evaluation mode (learnt rows: as `dynamics` says)",
            "[E, N, C]",
            "float32",
        ),
        Artefact(
            "features",
            f"{_TRAINING}/features.npy",
            "train",
            "penultimate features after the last epoch",
            "[N, d]",
            "float32",
        ),
        Artefact(
            "feature_norms",
            f"{_TRAINING}/feature_norms.npy",
            "train",
            "Euclidean norms of the penultimate features of all examples after every epoch",
            "[E, N]",
            "float32",
        ),
        Artefact(
            "feature_neighbors",
            f"{_TRAINING}/neighbors.npz",
            "find_feature_neighbors",
            "the same in the features of the first seed",
        ),
        Artefact(
            "feature_neighbors_shard",
            f"{_TRAINING}/neighbors/{{shard}}.npz",
            "find_feature_neighbors_shard",
            "one job's rows of these",
        ),
        Artefact(
            "mc_logits",
            f"{_TRAINING}/mc_logits.npy",
            "train",
            "logits of train rows with dropout on, after the last epoch",
            "[M, n, C]",
            "float32",
        ),
        Artefact(
            "metrics",
            f"{_TRAINING}/metrics.parquet",
            "train",
            "per epoch and split: loss, every metric of the task, learning rate",
        ),
        Artefact(
            "trained_model",
            f"{_TRAINING}/model",
            "train",
            "final weights (safetensors) and config; loads with from_pretrained",
        ),
        Artefact(
            "text_likelihood_shard",
            "results/{dataset}/text_likelihood/{shard}.npy",
            "score_likelihood_shard",
            "one job's share of the likelihoods (0 for all other texts), where `jobs` of the language model is not 1",
            "[n]",
            "float32",
        ),
        Artefact(
            "text_likelihood",
            "results/{dataset}/text_likelihood.npy",
            "score_likelihood",
            "per train row: log-likelihood of a token of the text under the language model, in nats",
            "[n]",
            "float32",
        ),
        Artefact(
            "feature_likelihood",
            "results/{dataset}/meta_information/{model}/feature_likelihood.npy",
            "score_features",
            "per train row: log-likelihood of the image's features under a probabilistic PCA, per feature, in nats",
            "[n]",
            "float32",
        ),
        Artefact(
            "family",
            "results/{dataset}/meta_information/{model}/{family}.parquet",
            "measure",
            "example_id and the columns of one family of measures",
            "n rows",
        ),
        Artefact(
            "trajectories",
            f"{_ARCHAEOLOGY}/trajectories.npz",
            "record_trajectories",
            "loss [., S, E] float32 and right [., S, E] bool of every seed after every epoch, as train_loss and so on; "
            "label and, of the reference and evaluation probes, suite",
        ),
        Artefact(
            "categories",
            f"{_ARCHAEOLOGY}/categories.parquet",
            "evaluate_probes",
            "example_id, half (train, evaluation), suite (of probes), category and share_{category} of the votes",
            "train rows and evaluation probes",
        ),
        Artefact(
            "audit",
            f"{_ARCHAEOLOGY}/audit.csv",
            "plot_archaeology",
            "the train rows with the most votes of every category and class: rank, vote_share, label, text or "
            "image path",
        ),
        Artefact(
            "noise_detection",
            f"{_ARCHAEOLOGY}/noise_detection.csv",
            "detect_noise",
            "AUROC, average precision and precision at the noise rate of MAP-D and other detectors of wrong labels",
        ),
        Artefact(
            "treated",
            f"{_ARCHAEOLOGY}/{{application}}/{{treatment}}.parquet",
            "retrain_treated",
            "per seed (prioritised_training: and epoch): rows kept, test and validation metrics, facts of the "
            "treatment",
        ),
        Artefact(
            "treatments",
            f"{_ARCHAEOLOGY}/{{application}}/comparison.csv",
            "compare_treatments",
            "per treatment and metric of the test split: mean and deviation over seeds, difference to the first",
        ),
        Artefact(
            "outside_scores",
            f"{_ARCHAEOLOGY}/ood_detection/scores.parquet",
            "detect_outside",
            "example_id, suite (inside: test rows) and the score of every method, high = out of distribution; the rows "
            "of the reference are left out",
        ),
        Artefact(
            "outside",
            f"{_ARCHAEOLOGY}/ood_detection/comparison.csv",
            "detect_outside",
            "AUROC and average precision of every method, for every suite",
        ),
        Artefact(
            "probe_evaluation",
            f"{_ARCHAEOLOGY}/evaluation.json",
            "evaluate_probes",
            "accuracy, confusion matrix, precision and recall on held-out probes; train rows per category; Spearman's "
            "correlation of mean loss and typicality",
        ),
        Artefact(
            "infoverse_table",
            "results/{dataset}/meta_information/{model}/infoverse.parquet",
            "join_infoverse",
            "example_id and the infoVerse columns that could be computed",
            "n rows",
        ),
        Artefact(
            "infoverse",
            "results/{dataset}/meta_information/{model}/infoverse.npy",
            "join_infoverse",
            "the same columns, z-scored",
            "[n, m]",
            "float64",
        ),
        Artefact(
            "map",
            "results/{dataset}/map/{model}/{space}.parquet",
            "map_model",
            "2-D t-SNE of the train rows in a space of the model (infoverse, features): example_id, x, y (float32)",
            "n rows",
        ),
        Artefact(
            "values",
            "results/{dataset}/valuation/{model}/{estimator}.parquet",
            "value",
            "example_id, value, standard_error",
            "n rows",
        ),
        Artefact(
            "value_shard",
            "results/{dataset}/valuation/{model}/{estimator}/shard{shard}/sums.npz",
            "value_shard",
            "sums of one shard of a sampled estimator, apart for even and odd units of work",
        ),
        Artefact(
            "value_status",
            "results/{dataset}/valuation/{model}/{estimator}/wave{wave}.json",
            "check_values",
            "shards, units, utilities, standard errors and rank correlation so far, and which stop rule holds",
        ),
        Artefact(
            "ranking",
            f"{_CELL}/ranking.parquet",
            "rank_examples",
            "rank, row, example_id: the first rows are kept first; every keep ratio is a prefix",
        ),
        Artefact(
            "retrained",
            f"{_CELL}/ratio{{ratio}}.parquet",
            "retrain",
            "per seed: rows kept, test and validation metrics after retraining on them",
        ),
        Artefact(
            "pruning_table",
            "results/{dataset}/pruning/{model}/comparison.parquet",
            "summarise_pruning",
            "per metric, split, strategy and ratio: mean and standard deviation over seeds, difference to random, "
            "balanced random and full data, rank, seeds won against random, paired tests; and the same over all ratios",
        ),
        Artefact(
            "pruning_csv", "results/{dataset}/pruning/{model}/comparison.csv", "summarise_pruning", "the same as csv"
        ),
        Artefact(
            "kept",
            f"{_CLEANED}/kept.parquet",
            "choose_kept",
            "row (among the train rows), example_id and score of every example that is kept, in the order of the data",
        ),
        Artefact("kept_csv", f"{_CLEANED}/kept.csv", "choose_kept", "the same as csv"),
        Artefact(
            "cleaning_decision",
            f"{_CLEANED}/decision.json",
            "choose_kept",
            "rows dropped, K-NN accuracy before, after and at every share, precision and recall where noise is known",
        ),
        Artefact(
            "cleaned",
            f"{_CLEANED}/retrained.parquet",
            "retrain_cleaned",
            "per seed: rows kept, test and validation metrics after retraining on them",
        ),
        Artefact(
            "cleaning_seeds",
            "results/{dataset}/cleaning/{model}/seeds.csv",
            "summarise_cleaning",
            "per column, rule and seed: every metric before and after, and the change",
        ),
        Artefact(
            "cleaning_table",
            "results/{dataset}/cleaning/{model}/summary.parquet",
            "summarise_cleaning",
            "per column and rule: rows dropped, noise found, K-NN check and retrained metrics before and after",
        ),
        Artefact(
            "cleaning_csv", "results/{dataset}/cleaning/{model}/summary.csv", "summarise_cleaning", "the same as csv"
        ),
        Artefact(
            "curves",
            "results/{dataset}/cleaning/{model}/removal_curves.parquet",
            "follow_removals",
            "per detector, end, utility and share removed: accuracy on the test split",
        ),
        Artefact(
            "detectors",
            "results/detectors.parquet",
            "compare_detectors",
            "per data set, model and detector: AUROC, average precision, precision at the noise rate, areas of the "
            "removal and addition curves; over all data sets under the name (all)",
        ),
        Artefact("detectors_csv", "results/detectors.csv", "compare_detectors", "the same as csv"),
        Artefact("detectors_figure", "results/detectors.png", "plot_detectors", "the same, drawn"),
        Artefact(
            "surprisal",
            "results/{dataset}/surprisal.npy",
            "score_surprisal",
            "per train row and token: loss of a masked language model at the sampled places (nats), 0 elsewhere",
            "[n, tokens]",
            "float32",
        ),
        Artefact(
            "learning_rounds",
            f"{_RUN}/rounds.parquet",
            "learn_actively",
            "per training: labelled and found by class, test metrics (overall, minority, per class), steps, epochs, "
            "size and composition of the subpool",
        ),
        Artefact(
            "learning_picked",
            f"{_RUN}/picked.parquet",
            "learn_actively",
            "per labelled example, in order: round (0: initial set), row, example_id, label, oracle (put into the "
            "initial set because of its label)",
        ),
        Artefact(
            "learning_subpools",
            f"{_RUN}/subpools.parquet",
            "learn_actively",
            "round and row of every example of every subpool; empty where it is the whole pool",
        ),
        Artefact(
            "learning_times",
            f"{_RUN}/times.parquet",
            "learn_actively",
            "seconds per round and part: search, subpool, prediction, query, fit, evaluation; differ from run to run",
        ),
        Artefact(
            "learning_summary",
            f"{_RUN}/summary.json",
            "learn_actively",
            "normalised areas under the curves, final metrics, share of the minority found",
        ),
        Artefact(
            "learning_table",
            f"{_LEARNING}/comparison.parquet",
            "summarise_learning",
            "per strategy, measure and place (area, labelled size): median and quartiles over the seeds",
        ),
        Artefact(
            "learning_csv",
            f"{_LEARNING}/comparison.csv",
            "summarise_learning",
            "the same for people: minority F1 and minority found",
        ),
        Artefact("learning_latex", f"{_LEARNING}/comparison.tex", "summarise_learning", "the same as a LaTeX table"),
        Artefact(
            "learning_seconds",
            f"{_LEARNING}/seconds.csv",
            "summarise_learning",
            "per strategy and part: seconds of a round, median and quartiles over the seeds",
        ),
        Artefact(
            "learning_analysis",
            f"{_LEARNING}/analysis.parquet",
            "analyse_learning",
            "per strategy, seed and round: diversity of the words of the picks, their mean entropy under a model "
            "trained on all train rows",
        ),
        Artefact("learning_analysis_csv", f"{_LEARNING}/analysis.csv", "analyse_learning", "the same as csv"),
        Artefact(
            "assay",
            "results/{dataset}/assay.parquet",
            "join_assay",
            "the wide table for people: every measure and value of every example (a second model's columns end in "
            ".{model}); assay.csv is the same",
            "N rows",
        ),
        Artefact("assay_csv", "results/{dataset}/assay.csv", "join_assay", "assay.parquet as csv"),
        Artefact(
            "detection",
            "results/{dataset}/report/{model}/detection.parquet",
            "score_detection",
            "AUROC and average precision of every measure and value as a detector of the known label noise",
        ),
        Artefact(
            "suspicious",
            "results/{dataset}/report/{model}/suspicious.csv",
            "list_suspicious",
            "train examples, most suspicious first, with given and suggested label and likely_mislabelled",
        ),
        Artefact("figure", "results/{dataset}/report/{model}/{figure}.png", "plot_report", "one figure of the report"),
        Artefact(
            "explorer",
            "results/{dataset}/report/explorer.html",
            "build_explorer",
            "the map as one web page without network: colour, filter, search, select and export the train rows",
        ),
        Artefact(
            "source_examples",
            f"{_ANNOTATION}/source.parquet",
            "prepare_dataset",
            "annotated data sets: examples.parquet as it was before any answer",
            "N rows",
        ),
        Artefact("source_card", f"{_ANNOTATION}/source.json", "prepare_dataset", "the same for card.json"),
        Artefact(
            "answers",
            f"{_ANNOTATION}/answers/{{file}}.parquet",
            "read_answers",
            "the checked answers of one file: example_id, annotator, value (number of the class, or number), place",
        ),
        Artefact(
            "all_answers",
            f"{_ANNOTATION}/answers.parquet",
            "merge_annotations",
            "the answers of all files: example_id, annotator, value, file, round",
        ),
        Artefact(
            "annotated_labels",
            f"{_ANNOTATION}/labels.parquet",
            "merge_annotations",
            "one row per answered example: example_id, label, n_answers, confidence, disagreement, tie, round",
        ),
        Artefact("annotated_labels_csv", f"{_ANNOTATION}/labels.csv", "merge_annotations", "the same with label names"),
        Artefact(
            "annotators",
            f"{_ANNOTATION}/annotators.csv",
            "merge_annotations",
            "per annotator: answers, agreement with the labels and with others (numbers: root mean squared distance)",
        ),
        Artefact(
            "pool_likelihood",
            f"{_ANNOTATION}/pool_likelihood.npy",
            "score_pool",
            "per row of the source's pool: log-likelihood of a token under `annotation.language_model`, in nats",
            "[P]",
            "float32",
        ),
        Artefact(
            "pool",
            f"{_ANNOTATION}/round_{{round}}/pool.parquet",
            "filter_pool",
            "per row of the pool: row (of N), example_id, removed_by (the filter that leaves it out, empty for none)",
            "P rows",
        ),
        Artefact(
            "filters",
            f"{_ANNOTATION}/round_{{round}}/filters.json",
            "filter_pool",
            "rows of the pool, rows left, and per filter how many it finds and how many of these it removed",
        ),
        Artefact(
            "batch",
            f"{_ANNOTATION}/round_{{round}}/batch.parquet",
            "choose_batch",
            "what to label next, most wanted first: row (of N), example_id, suggestion, confidence",
        ),
        Artefact(
            "batch_csv",
            f"{_ANNOTATION}/round_{{round}}/batch.csv",
            "export_batch",
            "the batch for people: id, text or image, suggested_label, confidence, label (to be filled in)",
        ),
        Artefact(
            "label_studio",
            f"{_ANNOTATION}/round_{{round}}/label_studio.json",
            "export_batch",
            "the batch as tasks of Label Studio, the suggestions as predictions",
        ),
        Artefact(
            "label_studio_interface",
            f"{_ANNOTATION}/round_{{round}}/label_studio.xml",
            "export_batch",
            "labelling interface of these tasks",
        ),
        Artefact(
            "mturk",
            f"{_ANNOTATION}/round_{{round}}/mturk.csv",
            "export_batch",
            "the batch for MTurk, 10 examples a HIT",
        ),
        Artefact("mturk_page", f"{_ANNOTATION}/round_{{round}}/mturk.html", "export_batch", "page of such a HIT"),
        Artefact(
            "batch_images",
            f"{_ANNOTATION}/round_{{round}}/images",
            "export_batch",
            "the images of the batch; empty for texts",
        ),
        Artefact(
            "round_progress",
            f"{_ANNOTATION}/round_{{round}}/progress.parquet",
            "follow_round",
            "per way of choosing and seed: rows labelled and every metric after retraining; round 0: before any answer",
        ),
        Artefact(
            "round_picks",
            f"{_ANNOTATION}/round_{{round}}/picks.parquet",
            "follow_round",
            "per way of choosing: the examples labelled up to this round",
        ),
        Artefact(
            "round_table",
            f"{_ANNOTATION}/rounds.csv",
            "report_annotation",
            "per round: examples, answers, annotators, Krippendorff's alpha, disagreement, ties, labels per class",
        ),
        Artefact(
            "budget_table",
            f"{_ANNOTATION}/progress.csv",
            "report_annotation",
            "per round and way of choosing: rows labelled, mean and standard deviation of the metric over seeds",
        ),
        Artefact(
            "annotation_figure",
            "results/{dataset}/report/annotation_{figure}.png",
            "report_annotation",
            "learning progress, agreement, balance of the labels",
        ),
        Artefact(
            "esm",
            "resources/esms/{model}/{source}",
            "build_esm",
            "an embedding space map: config.json, model.safetensors, README.md as on the hub; source.npz: hashes of "
            "the texts, token ids and mean embedding of the source",
        ),
        Artefact(
            "source_model",
            "results/{source}/transfer/{model}/model",
            "build_esm",
            "the model fine-tuned on the source (safetensors) and config; loads with from_pretrained",
        ),
        Artefact(
            "source_times",
            "results/{source}/transfer/{model}/seconds.json",
            "build_esm",
            "seconds of fine-tuning, embedding and fitting",
        ),
        Artefact(
            "esm_index",
            "results/transfer/index.parquet",
            "index_esms",
            "one row per ESM that is known: folder, what its config says, bytes, errors on held-out rows, fault",
        ),
        Artefact("esm_index_csv", "results/transfer/index.csv", "index_esms", "the same as csv"),
        Artefact(
            "target_embeddings",
            "results/transfer/{target}/embeddings.npy",
            "embed_target",
            "the base model's embeddings of the rows that the ranking sees",
            "[n, d]",
            "float32",
        ),
        Artefact(
            "target_rows",
            "results/transfer/{target}/rows.parquet",
            "embed_target",
            "example_id and label of these rows",
            "n rows",
        ),
        Artefact(
            "target_statistics",
            "results/transfer/{target}/statistics.npz",
            "embed_target",
            "what linear ESMs are scored by: Gram matrix, column sums, products with the targets, hashes of the texts",
        ),
        Artefact(
            "transfer_ranking",
            "results/transfer/{target}/ranking.parquet",
            "rank_sources",
            "per ESM, best first: rank, task, rows, score (LogME), standard error, rank interval, texts shared with "
            "the target, duplicate flag; attrs: left_out",
        ),
        Artefact("transfer_csv", "results/transfer/{target}/ranking.csv", "rank_sources", "the same as csv"),
        Artefact(
            "transfer_markdown",
            "results/transfer/{target}/ranking.md",
            "rank_sources",
            "the same, with what was left out",
        ),
        Artefact(
            "target_times", "results/transfer/{target}/embedding.json", "embed_target", "seconds of the embedding"
        ),
        Artefact(
            "ranking_times",
            "results/transfer/{target}/ranking.json",
            "rank_sources",
            "seconds of scoring all ESMs, and of the intervals",
        ),
        Artefact(
            "baseline_times",
            "results/transfer/{target}/baselines.json",
            "score_baselines",
            "seconds of every method for all sources",
        ),
        Artefact("transfer_figure", "results/transfer/{target}/ranking.png", "rank_sources", "the best ESMs, drawn"),
        Artefact(
            "task_embedding",
            "results/{source}/transfer/{model}/task_embedding.npz",
            "embed_task",
            "baseline task_embedding: diagonal of the Fisher information of every weight of the model's layers",
        ),
        Artefact(
            "task_times",
            "results/{source}/transfer/{model}/task_embedding.json",
            "embed_task",
            "seconds of fine-tuning (targets) and of the gradients",
        ),
        Artefact(
            "baselines",
            "results/transfer/{target}/baselines.parquet",
            "score_baselines",
            "per source and method: score (higher: better), bytes kept of the source, reason where there is none",
        ),
        Artefact(
            "ground_truth",
            "results/transfer/{target}/ground_truth/{source}.parquet",
            "make_transfer",
            "per seed: test metrics after fine-tuning the source's model (none: the base model) on the target",
        ),
        Artefact(
            "transfer_table",
            "results/transfer/evaluation.parquet",
            "compare_rankings",
            "per method and target (all of them: (mean)): NDCG, regret@1, 3, 5 in %, Spearman, seconds and bytes",
        ),
        Artefact("transfer_table_csv", "results/transfer/evaluation.csv", "compare_rankings", "the same as csv"),
        Artefact("transfer_table_markdown", "results/transfer/evaluation.md", "compare_rankings", "the same to read"),
        Artefact(
            "transfer_table_figure", "results/transfer/evaluation.png", "compare_rankings", "methods and real transfers"
        ),
        Artefact("summary", "results/summary.txt", "summarise", "what a run found, in a few lines"),
        Artefact("config_used", "results/config.json", "write_config", "the validated config with every default"),
    )
}


class _Keep(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def path(name: str, **wildcards: object) -> str:
    """Return an artefact's path; wildcards that are not given stay as {wildcard}."""
    if name not in ARTEFACTS:
        raise DatassayError(f"unknown artefact '{name}'{did_you_mean(name, ARTEFACTS)}")
    return ARTEFACTS[name].path.format_map(_Keep({key: str(value) for key, value in wildcards.items()}))
