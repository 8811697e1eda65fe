"""Image recipes: tiny ViT, ResNet and ConvNeXt of transformers, and the residual network of our own."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import FinetuneImage, ResNet, Training
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.training import Recording, train

NAMES = ["red", "green", "blue"]
N, N_TRAIN, SIDE = 90, 60, 16
SIZES = {
    "vit": {"image_size": SIDE, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    "convnext": {"image_size": SIDE, "patch_size": 4, "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
}


def png(pixels: np.ndarray) -> dict[str, object]:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def images_of(labels: np.ndarray, side: int) -> list[dict[str, object]]:
    pixels = np.random.default_rng(2).integers(0, 120, (len(labels), side, side, 3))
    pixels[np.arange(len(labels)), :, :, labels] += 100
    return [png(image) for image in pixels.astype(np.uint8)]


@pytest.fixture(scope="module")
def examples() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, N)
    splits = np.repeat(["train", "validation", "test"], [N_TRAIN, 15, 15])
    return pd.DataFrame({"image": images_of(labels, SIDE), "label": labels, "split": rng.permutation(splits)})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny pretrained models: as trained on 7 classes, one with the size and mean of a processor."""
    import torch
    from transformers import AutoConfig, AutoModelForImageClassification
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    folder = tmp_path_factory.mktemp("vision")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for kind, sizes in SIZES.items():
            config = AutoConfig.for_model(kind, num_labels=7, intermediate_size=32, initializer_range=0.2, **sizes)
            AutoModelForImageClassification.from_config(config).save_pretrained(folder / kind)
    size = {"height": SIDE, "width": SIDE}
    for kind in ("resnet", "convnext"):
        ViTImageProcessorPil(size=size, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.3, 0.4]).save_pretrained(
            folder / kind
        )
    return folder


def finetune(folder: Path, **settings: object) -> FinetuneImage:
    defaults = {"name": "m", "recipe": "finetune_image", "backbone": str(folder), "batch_size": 16, "mc_passes": 3}
    return FinetuneImage(**{**defaults, "epochs": 2, "learning_rate": 3e-3, **settings})


def resnet(**settings: object) -> ResNet:
    defaults = {"name": "m", "recipe": "resnet", "image_size": SIDE, "batch_size": 16, "mc_passes": 3, "epochs": 2}
    return ResNet(**{**defaults, "widths": [8, 16], "depths": [1, 1], **settings})


def run(examples: pd.DataFrame, settings: Training, folder: Path) -> Recording:
    checkpoints = Checkpoints(folder, "key")
    recording = train(examples, None, NAMES, settings, 0, checkpoints)
    checkpoints.clear()
    return recording


@pytest.mark.parametrize("kind", [*SIZES, "ours"])
def test_training_records_and_the_saved_folder_repeats_it(
    kind: str, examples: pd.DataFrame, tiny: Path, tmp_path: Path
) -> None:
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    from datassay.data.images import decode_images
    from datassay.training.models import ResNetClassifier

    settings = resnet(epochs=6) if kind == "ours" else finetune(tiny / kind, epochs=6)
    recording = run(examples, settings, tmp_path)
    assert recording.logits.shape == (6, N, 3) and recording.features.shape == (N, 16)
    assert recording.mc_logits.shape == (3, N_TRAIN, 3)
    assert not np.array_equal(recording.mc_logits[0], recording.mc_logits[1])
    test = (examples["split"] == "test").to_numpy()
    assert (recording.logits[-1].argmax(1) == examples["label"])[test].mean() > 0.8

    recording.save_model(tmp_path / "model")
    if kind == "ours":
        model = ResNetClassifier.from_pretrained(tmp_path / "model").eval()
        head, inputs = model.network.classifier, {"images": torch.from_numpy(decode_images(examples["image"], SIDE))}
    else:
        model = AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
        assert model.config.id2label == dict(enumerate(NAMES))
        processor = AutoImageProcessor.from_pretrained(tmp_path / "model")
        opened = [Image.open(io.BytesIO(image["bytes"])) for image in examples["image"]]
        inputs = dict(processor(opened, return_tensors="pt"))
        head = model.classifier if kind != "resnet" else model.classifier[-1]
    with torch.no_grad():
        np.testing.assert_allclose(model(**inputs).logits.numpy(), recording.logits[-1], atol=1e-4)
    weight, bias = (p.detach().numpy() for p in (head.weight, head.bias))
    np.testing.assert_allclose(recording.features @ weight.T + bias, recording.logits[-1], atol=1e-4)


@pytest.mark.parametrize("kind", SIZES)
def test_dropout_passes_drop_inputs_of_the_head_and_nothing_else(
    kind: str, examples: pd.DataFrame, tiny: Path, tmp_path: Path
) -> None:
    from datassay.errors import NotApplicable
    from datassay.measures import mc_dropout_uncertainty

    recording = run(examples, finetune(tiny / kind, dropout=0.3, mc_passes=60, epochs=1), tmp_path)
    train_rows = (examples["split"] == "train").to_numpy()
    spread = recording.mc_logits.std(axis=0).max() / np.sqrt(60)
    np.testing.assert_allclose(recording.mc_logits.mean(axis=0), recording.logits[-1, train_rows], atol=5 * spread)
    without = run(examples, finetune(tiny / kind, dropout=0.0, epochs=1), tmp_path)
    assert without.mc_logits.shape == (0, N_TRAIN, 3)
    with pytest.raises(NotApplicable):
        mc_dropout_uncertainty(without.mc_logits, examples["label"].to_numpy()[train_rows])


@pytest.mark.parametrize("kind", SIZES)
def test_frozen_weights_and_statistics_stay(kind: str, examples: pd.DataFrame, tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForImageClassification

    before = AutoModelForImageClassification.from_pretrained(tiny / kind).state_dict()
    run(examples, finetune(tiny / kind, freeze_embeddings=True, freeze_layers=1), tmp_path).save_model(tmp_path / "m")
    after = AutoModelForImageClassification.from_pretrained(tmp_path / "m").state_dict()
    first, second = {"vit": ("layers.0.", "layers.1.")}.get(kind, ("stages.0.", "stages.1."))
    stayed = [name for name, value in before.items() if after[name].equal(value)]
    assert all(name in stayed for name in before if first in name or "embed" in name)
    assert not any(second in name and name.endswith("weight") for name in stayed)
    with pytest.raises(DatassayError, match="freeze_layers is 3, the backbone has 2"):
        run(examples, finetune(tiny / kind, freeze_layers=3), tmp_path)


@pytest.mark.parametrize("kind", ["ours", "resnet", "dropping"])
def test_passes_from_the_features_are_passes_of_the_network(
    kind: str, examples: pd.DataFrame, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForImageClassification

    from datassay.training import _dropout

    backbone = tiny / kind
    if kind == "dropping":  # dropout inside the network: what the head reads differs from pass to pass
        backbone = tmp_path / kind
        model = AutoModelForImageClassification.from_pretrained(tiny / "vit")
        model.config.hidden_dropout_prob = 0.3
        model.save_pretrained(backbone)
    settings = resnet() if kind == "ours" else finetune(backbone)
    top_pass, used = _dropout._top_pass, []
    monkeypatch.setattr(_dropout, "_top_pass", lambda *args: (used.append(args), top_pass(*args))[1])
    quick = run(examples, settings, tmp_path)
    assert len(used) == (0 if kind == "dropping" else 3)
    monkeypatch.setattr(_dropout, "_top_pass", lambda run, _: _dropout.predict(run, used_rows).logits)
    used_rows = np.flatnonzero(examples["split"] == "train")
    np.testing.assert_allclose(run(examples, settings, tmp_path).mc_logits, quick.mc_logits, atol=1e-5)


def test_small_images_are_enlarged_and_the_places_of_a_vit_with_them(
    examples: pd.DataFrame, tiny: Path, tmp_path: Path
) -> None:
    small = examples.assign(image=images_of(examples["label"].to_numpy(), 8))
    recording = run(small, finetune(tiny / "vit", image_size=32, epochs=1), tmp_path)
    assert np.isfinite(recording.logits).all()


def test_images_are_prepared_as_pillow_would(tmp_path: Path) -> None:
    import torch
    from PIL import Image

    from datassay.encoders._vision import ImageFormat
    from datassay.training._finetune_image import standardised

    plain = ImageFormat(24, (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    enlarged = standardised(images, plain).permute(0, 2, 3, 1).numpy()
    peer = [np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR)) for image in pixels]
    np.testing.assert_allclose(enlarged, np.stack(peer), atol=1.01)
    # a part with the sides 1/2 and 2/3, its centre an eighth to the right and a sixth up: columns 4.5 to 10.5
    view = torch.tensor([[[0.5, 0, 0.25], [0, 2 / 3, -1 / 3]]]).repeat(3, 1, 1)
    parts = standardised(images, plain, view).permute(0, 2, 3, 1).numpy()
    box = (4.5, 0, 10.5, 8)
    peer = [np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR, box)) for image in pixels]
    np.testing.assert_allclose(parts[:, 2:-2, 2:-2], np.stack(peer)[:, 2:-2, 2:-2], atol=1.01)
    view[:, 0, 0] *= -1
    mirrored = standardised(images, plain, view).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(mirrored[:, :, ::-1], parts, atol=1e-3)
    form = ImageFormat(12, (0.5, 0.25, 0.75), (0.5, 0.25, 0.125))
    expected = (pixels / 255 - np.array(form.mean)) / np.array(form.std)
    np.testing.assert_allclose(standardised(images, form).permute(0, 2, 3, 1), expected, atol=1e-5)


def test_random_crops_lie_inside_and_flip_half() -> None:
    from datassay.training._finetune_image import random_crops

    maps = random_crops(4000, generator(0, "crops")).numpy()
    reach = np.abs(maps[:, :, 2]) + np.abs(maps[:, [0, 1], [0, 1]])
    assert reach.max() <= 1 + 1e-6 and not maps[:, 0, 1].any() and not maps[:, 1, 0].any()
    area = np.abs(maps[:, 0, 0] * maps[:, 1, 1])
    assert 0.2 < area.min() < 0.3 and area.max() > 0.9
    assert 0.45 < (maps[:, 0, 0] < 0).mean() < 0.55 and (maps[:, 1, 1] > 0).all()


def test_what_does_not_fit_into_memory_is_decoded_in_every_pass(
    examples: pd.DataFrame,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from datassay.training import _finetune_image

    settings = finetune(tiny / "resnet", augment=True)
    kept = run(examples, settings, tmp_path)
    monkeypatch.setattr(_finetune_image, "CACHE_BYTES", 0)
    with caplog.at_level("INFO", logger="datassay"):
        again = run(examples, settings, tmp_path)
    assert "decoded in every pass" in caplog.text
    assert kept.logits.tobytes() == again.logits.tobytes()


def test_augmentation_changes_training_only(examples: pd.DataFrame, tiny: Path, tmp_path: Path) -> None:
    still = {"learning_rate": 1e-12, "epochs": 1, "mc_passes": 0, "dropout": 0.0}
    for make in (lambda **s: finetune(tiny / "vit", **s), resnet):
        plain, augmented = (run(examples, make(augment=a, **still), tmp_path).logits for a in (False, True))
        moved = run(examples, make(augment=True, mc_passes=0, dropout=0.0), tmp_path).logits
        other = run(examples, make(augment=False, mc_passes=0, dropout=0.0), tmp_path).logits
        assert not np.allclose(moved, other, atol=1e-3)
        if make is not resnet:  # batch norm learns its statistics at any learning rate
            np.testing.assert_allclose(plain, augmented, atol=1e-5)


def test_faults_are_one_line(examples: pd.DataFrame, tiny: Path, tmp_path: Path) -> None:
    from tests.unit.tiny_bert import write_tiny_bert

    def fails(match: str, table: pd.DataFrame, settings: Training) -> None:
        with pytest.raises(DatassayError, match=match) as caught:
            train(table, None, NAMES, settings, 0, Checkpoints(tmp_path, "faults"))
        assert "\n" not in str(caught.value)

    fails("needs a column 'image'", examples.drop(columns="image"), finetune(tiny / "vit"))
    fails("resnet recipe needs a column 'image'", examples.drop(columns="image"), resnet())
    fails("cannot be loaded", examples, finetune(write_tiny_bert(tmp_path / "bert")))
    fails("no such folder", examples, finetune(tiny / "nowhere"))


def test_weights_that_are_not_pretrained_are_named(
    examples: pd.DataFrame, tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForImageClassification

    AutoModelForImageClassification.from_pretrained(tiny / "vit").save_pretrained(tmp_path / "half")
    weights = load_file(tmp_path / "half" / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "layer.1.attention" not in name}
    save_file(kept, tmp_path / "half" / "model.safetensors", {"format": "pt"})
    with caplog.at_level("WARNING", logger="datassay"):
        run(examples, finetune(tiny / "vit", epochs=1), tmp_path)
        assert not caplog.records
        run(examples, finetune(tmp_path / "half", epochs=1), tmp_path)
    assert f"{len(weights) - len(kept)} weights are not pretrained, the first is vit.layers.1." in caplog.text


@pytest.mark.parametrize("block, parameters", [("basic", 11_173_962), ("bottleneck", 23_520_842)])
def test_known_networks_have_their_numbers_of_parameters(block: str, parameters: int) -> None:
    from datassay.training._networks import ResNetNetwork

    depths = {"basic": [2, 2, 2, 2], "bottleneck": [3, 4, 6, 3]}[block]  # ResNet-18 and ResNet-50 for CIFAR-10
    network = ResNetNetwork(block, [64, 128, 256, 512], depths, 1, (0, 0, 0), (1, 1, 1), 0.0, 10)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_computes_what_that_of_transformers_does(block: str, stride: int) -> None:
    import torch
    from transformers.models.resnet.modeling_resnet import ResNetBasicLayer, ResNetBottleNeckLayer

    from datassay.training._networks import _Residual

    ours = _Residual(block, 8, 16, stride).eval()
    out = 64 if block == "bottleneck" else 16
    peer = (ResNetBottleNeckLayer if block == "bottleneck" else ResNetBasicLayer)(8, out, stride).eval()
    values = torch.Generator().manual_seed(0)
    for part in (ours.body, ours.shortcut):
        for p in part.state_dict().values():
            if p.dtype == torch.float32:
                p.copy_(torch.rand(p.shape, generator=values) + 0.1)
    for part, place in ((ours.body, peer.layer), (ours.shortcut, peer.shortcut)):
        place.load_state_dict(dict(zip(place.state_dict(), part.state_dict().values(), strict=True)))
    x = torch.randn(2, 8, 6, 6, generator=values)
    torch.testing.assert_close(ours(x), peer(x))


def test_a_backbone_may_lend_its_shape_alone(examples: pd.DataFrame, tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForImageClassification

    weights = {}
    for pretrained in (True, False):
        still = finetune(tiny / "vit", epochs=1, learning_rate=1e-30, weight_decay=0, pretrained=pretrained)
        run(examples, still, tmp_path / str(pretrained)).save_model(tmp_path / f"{pretrained}")
        weights[pretrained] = AutoModelForImageClassification.from_pretrained(tmp_path / f"{pretrained}").state_dict()
    given = AutoModelForImageClassification.from_pretrained(tiny / "vit").state_dict()
    name = next(name for name in given if "patch_embeddings" in name and name.endswith("weight"))
    assert (weights[True][name] - given[name]).abs().max() < 1e-6 < (weights[False][name] - given[name]).abs().max()
    assert weights[True].keys() == weights[False].keys()
