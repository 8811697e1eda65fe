"""Encoders and the models that are trained."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from datassay.config.blocks import Block, Jobs, Modality, Name, Number, Share


class Index(Block):
    """Approximate neighbour index (HNSW)."""

    m: Annotated[int, Field(ge=2)] = Field(16, description="links per element")
    ef_construction: Annotated[int, Field(ge=2)] = Field(200, description="candidates while building")
    ef: Annotated[int, Field(ge=1)] = Field(200, description="candidates while searching")
    recall_at: Annotated[int, Field(ge=1)] = Field(20, description="neighbours over which the recall is measured")
    seed: int = Field(0, description="seed of the index levels")


class Encoder(Block):
    """Turns examples into unit vectors once, for neighbours, values, densities and head models."""

    name: Name = Field(description="its name in paths")
    kind: Literal["sentence_transformer", "vision", "pixels", "vectors"] = Field(
        description="sentence_transformer: text; vision: an image model of transformers; pixels: scaled pixels, PCA; "
        "vectors: your own, from the file `path`, for data sets that name this encoder"
    )
    path: str | None = Field(
        None,
        description="vectors: .npy (a row per example, in their order), .npz (vectors, example_id) or .parquet "
        "(example_id, vector)",
    )
    unit_length: bool = Field(True, description="scale every vector to length 1; false: keep it as it is")
    model: str = Field("builtin:minilm", description="builtin:minilm, a hub name or a local folder (not for pixels)")
    revision: str | None = Field(None, description="commit of the hub model to pin")
    batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per forward pass")
    max_length: Annotated[int, Field(gt=0)] = Field(128, description="tokens kept per text")
    image_size: Annotated[int, Field(gt=0)] = Field(
        32, description="side in pixels that images are resized to (vision: only where the model names none)"
    )
    components: Annotated[int, Field(gt=0)] | None = Field(64, description="pixels: principal components to keep")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="auto: bf16 where the GPU has it, else float32"
    )
    shard_rows: Annotated[int, Field(gt=0)] = Field(
        4096, description="rows saved at a time, so that a killed job goes on"
    )
    jobs: Jobs = Field(1, description="jobs that share the work; the vectors do not depend on it")
    threads: Annotated[int, Field(gt=0)] = Field(1, description="CPU threads; the last bits of results depend on it")
    gpu: Annotated[int, Field(ge=0)] = Field(0, description="GPUs the job asks for")
    index: Index = Field(default_factory=Index, description="neighbour index")

    @property
    def modality(self) -> Modality | None:
        """What it encodes; None: what it brings goes with any data set that names it."""
        return {"sentence_transformer": "text", "vision": "image", "pixels": "image", "vectors": None}[self.kind]

    @model_validator(mode="after")
    def _path_of_vectors(self) -> Self:
        if (self.kind == "vectors") != (self.path is not None):
            raise ValueError(f"kind '{self.kind}' {'needs' if self.kind == 'vectors' else 'takes no'} path")
        return self

    def encoding(self) -> dict[str, Any]:
        """Return the part that decides what the vectors are."""
        return self.params("jobs", "threads", "gpu", "index")


class LanguageModel(Block):
    """Says how expected a text is."""

    model: str = Field(description="masked (BERT) or causal (GPT-2) language model: a hub name or a local folder")
    revision: str | None = Field(None, description="commit of the hub model to pin")
    mode: Literal["masked", "unmasked"] = Field(
        "masked",
        description="of a masked model: every token masked in turn, one pass each, or one pass with nothing masked; a "
        "causal model reads from left to right",
    )
    max_length: Annotated[int, Field(gt=0)] = Field(128, description="tokens kept per text (or pair)")
    tokens_per_batch: Annotated[int, Field(gt=0)] = Field(
        2048, description="tokens per forward pass; a GPU likes 16384 and more"
    )
    precision: Literal["auto", "float32", "bf16"] = Field("auto", description="auto: bf16 where the GPU has it")
    jobs: Jobs = Field(1, description="jobs that share the work; the scores do not depend on it")
    threads: Annotated[int, Field(gt=0)] = Field(1, description="CPU threads; the last bits of results depend on it")
    gpu: Annotated[int, Field(ge=0)] = Field(0, description="GPUs the job asks for")

    def scoring(self) -> dict[str, Any]:
        """Return the part that decides what the scores are."""
        return self.params("jobs", "threads", "gpu")


class Training(Block):
    """What every recipe has in common."""

    name: Name = Field(description="its name in paths")
    encoder: Name | None = Field(None, description="encoder whose vectors go with this model, else the first that fits")
    retrain: Name | None = Field(None, description="model that is retrained on pruned data, else this one")
    assay: bool = Field(True, description="false: only retrain with it, measure nothing")
    epochs: Annotated[int, Field(gt=0)] = Field(description="passes over the train split; each one is recorded")
    batch_size: Annotated[int, Field(gt=0)] = Field(32, description="examples per step")
    eval_batch_size: Annotated[int, Field(gt=0)] = Field(256, description="examples per forward pass when recording")
    accumulation: Annotated[int, Field(gt=0)] = Field(1, description="batches per optimiser step")
    optimizer: Literal["adamw", "adam", "sgd"] = Field("adamw", description="optimiser")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(description="peak learning rate")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.01, description="weight decay (not on biases and norms)")
    momentum: Share = Field(0.9, description="momentum of sgd")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="learning rate after the warm-up")
    warmup: Share = Field(0.06, description="share of the steps in which the learning rate rises")
    clip_norm: Annotated[Number, Field(gt=0)] | None = Field(1.0, description="largest gradient norm")
    dynamics: Literal["eval", "online"] = Field(
        "eval",
        description="logits of train rows per epoch: eval: of the model after the epoch, at the price of one pass over "
        "them; online: those that training itself computed (dropout on), but for the last epoch",
    )
    dynamics_type: Literal["float32", "float16"] = Field(
        "float32", description="number type of the recorded logits; float16 halves the largest file"
    )
    mc_passes: Annotated[int, Field(ge=0)] = Field(10, description="forward passes with dropout after training")
    precision: Literal["auto", "float32", "bf16"] = Field("auto", description="auto: bf16 where the GPU has it")
    threads: Annotated[int, Field(gt=0)] = Field(1, description="CPU threads; the last bits of results depend on it")
    gpu: Annotated[int, Field(ge=0)] = Field(
        0, description="GPUs the job asks for; recording uses several, each for a part of every batch"
    )
    nodes: Annotated[int, Field(gt=0)] = Field(
        1, description="machines of a SLURM job that recording uses: as many of the GPUs on each, or a process without"
    )

    @property
    def modality(self) -> Modality | None:
        """What it takes; None: whatever its encoder takes."""
        return None

    def recipe_params(self) -> dict[str, Any]:
        """Return the part that decides what training computes."""
        return self.params("retrain", "assay", "threads", "gpu", "nodes")

    @property
    def one_gpu(self) -> int:
        """GPUs of a job that trains or asks the model in one process."""
        return min(self.gpu, 1)

    def placement(self) -> dict[str, int | str]:
        """Return what recording in several processes asks SLURM for, beside GPUs; nothing where it is one process.

        One task a machine starts the processes of its GPUs, each of which has the threads of the model. SLURM gives
        every machine as many GPUs by gres only; mpi lets the job itself start the tasks.
        """
        each = self.gpu // self.nodes
        place: dict[str, int | str] = {}
        if max(self.gpu, self.nodes) > 1:
            place = {"nodes": self.nodes, "cpus_per_task": self.threads * max(each, 1)}
        if self.nodes > 1:
            place |= {"tasks": self.nodes, "mpi": "srun"}
        if self.nodes > 1 and self.gpu:
            place |= {"gres": f"gpu:{each}", "tasks_per_gpu": 0}
        return place

    @model_validator(mode="after")
    def _as_many_gpus_on_every_node(self) -> Self:
        if self.gpu % self.nodes:
            raise ValueError(f"gpu: {self.gpu} is no multiple of nodes: {self.nodes}, each needs as many")
        return self


class Finetune(Training):
    """Fine-tune a sequence classifier of transformers."""

    recipe: Literal["finetune"]
    backbone: str = Field("builtin:minilm", description="builtin:minilm, a hub name or a local folder")
    revision: str | None = Field(None, description="commit of the hub model to pin")
    epochs: Annotated[int, Field(gt=0)] = Field(4, description="passes over the train split; each one is recorded")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(5e-4, description="peak learning rate")
    max_length: Annotated[int, Field(gt=0)] = Field(128, description="tokens kept per text (or pair)")
    dropout: Share | None = Field(None, description="dropout of the network, else the backbone's own")
    freeze_embeddings: bool = Field(False, description="keep the embedding layer as it is")
    freeze_layers: Annotated[int, Field(ge=0)] = Field(0, description="keep this many lower layers as they are")
    eval_batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per forward pass when recording")

    @property
    def modality(self) -> Modality:
        """text."""
        return "text"


class Head(Training):
    """Train a multi-layer perceptron on an encoder's vectors."""

    recipe: Literal["head"]
    epochs: Annotated[int, Field(gt=0)] = Field(20, description="passes over the train split; each one is recorded")
    batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per step")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(2e-3, description="peak learning rate")
    hidden: list[Annotated[int, Field(gt=0)]] = Field([256], description="widths of the hidden layers")
    dropout: Share = Field(0.2, description="dropout before every layer")


class SmallImages(Training):
    """What the networks that learn small images from nothing have in common."""

    batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per step")
    image_size: Annotated[int, Field(gt=0)] = Field(32, description="side in pixels that images are resized to")
    dropout: Share = Field(0.2, description="dropout before the classifier")
    augment: bool = Field(False, description="random shift and horizontal flip while training, never while recording")
    padding: Literal["edge", "reflect"] = Field("edge", description="what appears at the border of a shifted image")

    @property
    def modality(self) -> Modality:
        """image."""
        return "image"


class Cnn(SmallImages):
    """Train a small convolutional network on small images."""

    recipe: Literal["cnn"]
    epochs: Annotated[int, Field(gt=0)] = Field(10, description="passes over the train split; each one is recorded")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(2e-3, description="peak learning rate")
    channels: list[Annotated[int, Field(gt=0)]] = Field(
        [32, 64, 128], min_length=1, description="channels of the blocks; every block but the first halves the size"
    )


class ResNet(SmallImages):
    """Train a residual network on small images."""

    recipe: Literal["resnet"]
    epochs: Annotated[int, Field(gt=0)] = Field(10, description="passes over the train split; each one is recorded")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(5e-3, description="peak learning rate")
    block: Literal["basic", "bottleneck"] = Field(
        "basic", description="basic: two 3x3 convolutions; bottleneck: 1x1, 3x3 and 1x1 to four times the width"
    )
    widths: list[Annotated[int, Field(gt=0)]] = Field(
        [32, 64, 128], min_length=1, description="width of every stage; every stage but the first halves the size"
    )
    depths: list[Annotated[int, Field(gt=0)]] = Field([1, 1, 1], description="blocks of every stage")
    stem_stride: Annotated[int, Field(gt=0)] = Field(
        2, description="stride of the first convolution; 1 is finer and takes three to four times as long"
    )

    @model_validator(mode="after")
    def _depth_for_every_width(self) -> Self:
        if len(self.widths) != len(self.depths):
            raise ValueError(f"{len(self.widths)} widths and {len(self.depths)} depths, needs as many of each")
        return self


class FinetuneImage(Training):
    """Fine-tune an image classifier of transformers."""

    recipe: Literal["finetune_image"]
    backbone: str = Field(description="image model of transformers: a hub name or a local folder")
    pretrained: bool = Field(True, description="false: the shape of the backbone with random weights, from nothing")
    revision: str | None = Field(None, description="commit of the hub model to pin")
    epochs: Annotated[int, Field(gt=0)] = Field(4, description="passes over the train split; each one is recorded")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(1e-4, description="peak learning rate")
    image_size: Annotated[int, Field(gt=0)] | None = Field(
        None, description="side in pixels that images are resized to, else what the backbone was trained with"
    )
    dropout: Share = Field(0.1, description="dropout before the classifier; inside, the backbone keeps its own")
    freeze_embeddings: bool = Field(False, description="keep the patch embedding or stem as it is")
    freeze_layers: Annotated[int, Field(ge=0)] = Field(
        0, description="keep this many lower layers (stages of a convolutional network) as they are"
    )
    augment: bool = Field(False, description="random crop and horizontal flip while training, never while recording")
    eval_batch_size: Annotated[int, Field(gt=0)] = Field(64, description="examples per forward pass when recording")

    @property
    def modality(self) -> Modality:
        """image."""
        return "image"


RECIPES: dict[str, type[Training]] = {
    "finetune": Finetune,
    "finetune_image": FinetuneImage,
    "head": Head,
    "cnn": Cnn,
    "resnet": ResNet,
}
Model = Annotated[Finetune | FinetuneImage | Head | Cnn | ResNet, Field(discriminator="recipe")]


def training_settings(params: Mapping[str, Any]) -> Training:
    """Return the model block that `recipe_params` wrote out."""
    return RECIPES[params["recipe"]].model_validate(dict(params))
