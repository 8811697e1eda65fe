"""Task embeddings: squared gradients against finite differences, and what they are compared by."""

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints
from datassay.config import Finetune
from datassay.transfer.baseline_jobs import embed_task, total_seconds
from datassay.transfer.baselines import layerwise_cosine
from tests.unit.tiny_bert import words, write_tiny


def tuned(tmp_path, task: str) -> tuple[pd.DataFrame, dict, Finetune]:
    rng = np.random.default_rng(0)
    labels = rng.normal(2, 3, 20) if task == "regression" else np.arange(20) % 2
    examples = pd.DataFrame({"text": words(rng, 20), "label": labels, "split": "train"})
    folder = str(write_tiny(tmp_path / "base", "bert", layers=1))
    settings = Finetune(name="m", recipe="finetune", backbone=folder, epochs=1, max_length=16, precision="float32")
    return examples, {"task": task, "label_names": ["a", "b"]}, settings


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_mean_squared_gradient_of_the_likelihood(tmp_path, task: str) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    examples, card, settings = tuned(tmp_path, task)
    how = {"seed": 1, "target_rows": 20, "fisher_rows": 4}
    folder = tmp_path / "tuned"
    found, seconds = embed_task(examples, card, settings, how, None, Checkpoints(tmp_path / "c", "k"), folder)
    assert set(seconds) == {"fine_tuning", "fisher"} and not [name for name in found if "embeddings" in name]
    again, _ = embed_task(examples, card, settings, how, str(folder), Checkpoints(tmp_path / "c", "k"), folder)
    for name, array in found.items():
        np.testing.assert_array_equal(array, again[name])

    from datassay.transfer.jobs import sample

    rows = sample(examples, "train", 4, 1, task)
    model = AutoModelForSequenceClassification.from_pretrained(folder).double().eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def likelihood(row: int) -> float:
        with torch.no_grad():
            logits = model(**tokenizer(rows["text"][row], return_tensors="pt")).logits[0]
        if task == "classification":
            return float(logits.log_softmax(0)[rows["label"][row]])
        label = (rows["label"][row] - examples["label"].mean()) / examples["label"].std(ddof=0)
        return float(-0.5 * (logits[0] - label) ** 2)

    name = "encoder.layer.0.attention.self.value.weight"
    weight = model.base_model.get_parameter(name).data
    for place in [(0, 0), (3, 7), (20, 11)]:
        squares = []
        for row in range(4):
            sides = []
            for step in (1e-4, -2e-4):
                weight[place] += step
                sides.append(likelihood(row))
            weight[place] += 1e-4
            squares.append(((sides[0] - sides[1]) / 2e-4) ** 2)
        assert found[name][place] == pytest.approx(np.mean(squares), rel=1e-3, abs=1e-12)


def test_task_embeddings_are_compared_layer_by_layer() -> None:
    a = {"x": np.array([[1.0, 0.0]]), "y": np.array([2.0, 2.0]), "never": np.zeros(3)}
    b = {"x": np.array([[1.0, 1.0]]), "y": np.array([5.0, 5.0]), "never": np.zeros(3)}
    assert layerwise_cosine(a, b) == pytest.approx((0.5**0.5 + 1) / 2)
    assert layerwise_cosine(a, a) == pytest.approx(1)


def test_the_target_pays_for_its_own_task_embedding(tmp_path) -> None:
    (tmp_path / "own.json").write_text('{"fine_tuning": 5, "fisher": 2}')
    records = [{"method": m, "seconds": 1.0} for m in ("size", "task_embedding", "size", "task_embedding")]
    assert total_seconds(records, str(tmp_path / "own.json")) == {"size": 2, "task_embedding": 9}
    assert total_seconds(records, None)["task_embedding"] == 2
