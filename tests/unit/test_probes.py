"""Planting probes: what is drawn, what is changed, what stays, and which faults are named."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datassay.config import Dataset, Probes, ScoreFile
from datassay.data import prepare
from datassay.data.card import card_with_probes
from datassay.data.disturb import noisy_image, noisy_text, pencil_sketch, random_image, random_texts
from datassay.data.foreign import read_sentences
from datassay.data.images import encode_png, read_image
from datassay.data.probes import plant, suite_size
from datassay.data.score_files import read_scores
from datassay.errors import DatassayError
from datassay.validation import ConfigError, validate

N, CLASSES = 300, 3
EVERY = ["typical", "atypical", "random_outputs", "corrupted", "ordinary", "out_of_distribution", "random_inputs"]


def table(kind="text", n=N):
    rng = np.random.default_rng(0)
    splits = np.array(["train"] * (n - 60) + ["test"] * 40 + ["valuation"] * 20, dtype=object)
    found = pd.DataFrame({"example_id": [f"e{i}" for i in range(n)], "split": splits, "label": np.arange(n) % CLASSES})
    found["true_label"] = found["label"]
    found["is_noisy"], found["is_probe"] = False, False
    if kind == "text":
        found["text"] = [" ".join(rng.choice(list("abcdefghij"), 6)) + f" w{i}" for i in range(n)]
    else:
        pixels = rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
        found["image"] = [{"bytes": encode_png(p), "path": f"{i}.png"} for i, p in enumerate(pixels)]
    return found.astype({"example_id": "str"})


TYPICAL = (np.random.default_rng(1).permutation(N - 60).astype(float),)
FOREIGN = [f"a foreign sentence number {i}" for i in range(20)]


@pytest.mark.parametrize("kind", ["text", "image"])
def test_suites_are_what_they_are_called(kind):
    before = table(kind)
    settings = Probes(suites=EVERY, size=12, seed=4)
    after, probes = plant(before, settings, CLASSES, TYPICAL, FOREIGN)
    assert probes["suite"].value_counts().to_dict() == dict.fromkeys(EVERY[:-2], 12) | {
        "out_of_distribution": 18, "random_inputs": 18,
    }  # fmt: skip
    halves = probes.groupby("suite")["half"].value_counts().unstack(fill_value=0)
    assert (halves[["reference", "evaluation"]] == 6).all().all()
    flags = after.set_index("example_id").loc[probes["example_id"]]
    assert flags["is_probe"].all() and not flags["is_noisy"].any()
    assert set(flags["split"]) == {"probe", "unseen"}
    assert ((flags["split"] == "unseen").to_numpy() == (probes["half"] == "unseen").to_numpy()).all()
    assert not after.loc[~after["example_id"].isin(probes["example_id"]), "is_probe"].any()
    assert after["example_id"].tolist()[:N] == before["example_id"].tolist()
    rest = ~after["is_probe"].to_numpy()[:N]
    pd.testing.assert_frame_equal(after[:N][rest], before[rest], check_dtype=False)
    content = "text" if kind == "text" else "image"
    _check_contents(before.set_index("example_id"), after.set_index("example_id"), probes, content)


def _check_contents(before, after, probes, content):
    rows = {suite: own["example_id"].tolist() for suite, own in probes[probes["half"] != "unseen"].groupby("suite")}
    scores = pd.Series(TYPICAL[0], index=before.index[before["split"] == "train"])
    assert set(rows["typical"]) == set(scores.nlargest(12).index)
    assert set(rows["atypical"]) == set(scores.nsmallest(12).index)
    for suite in ("typical", "atypical", "ordinary", "corrupted"):
        assert (after.loc[rows[suite], "label"] == before.loc[rows[suite], "label"]).all()
    changed = after.loc[rows["random_outputs"], "label"]
    assert (changed != before.loc[rows["random_outputs"], "label"]).all() and set(changed) <= set(range(CLASSES))
    assert len(set((changed - before.loc[rows["random_outputs"], "label"]) % CLASSES)) > 1
    for suite in ("typical", "atypical", "random_outputs", "ordinary"):
        assert (after.loc[rows[suite], content] == before.loc[rows[suite], content]).all()
    assert (after.loc[rows["corrupted"], content] != before.loc[rows["corrupted"], content]).all()
    assert not set(rows["random_inputs"]) & set(before.index)
    assert (after.loc[rows["random_inputs"], "true_label"] == -1).all()
    unseen = probes.loc[probes["half"] == "unseen", "example_id"]
    learnt = list(map(str, after.loc[~after.index.isin(unseen), content]))
    assert not set(map(str, after.loc[unseen, content])) & set(learnt), "what is never learnt is new to the model"


def test_the_same_seed_plants_the_same_and_another_does_not():
    one, _ = plant(table(), Probes(size=10), CLASSES, TYPICAL)
    two, _ = plant(table(), Probes(size=10), CLASSES, TYPICAL)
    other, _ = plant(table(), Probes(size=10, seed=1), CLASSES, TYPICAL)
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)


def test_sizes_follow_the_rows():
    assert [suite_size(n, Probes()) for n in (100, 2000, 10_000, 50_000)] == [20, 40, 200, 500]
    assert suite_size(100, Probes(size=7)) == 7


def test_ties_of_typicality_fall_to_the_next_score():
    first, second = np.zeros(N - 60), np.arange(N - 60, dtype=float)
    _, probes = plant(table(), Probes(suites=["typical"], size=5), CLASSES, (first, second))
    assert set(probes["example_id"]) == {f"e{i}" for i in range(N - 65, N - 60)}


def test_what_cannot_be_planted_is_refused():
    with pytest.raises(DatassayError, match="more than half of 240 train rows"):
        plant(table(), Probes(size=40), CLASSES, TYPICAL)
    with pytest.raises(DatassayError, match="no scores"):
        plant(table(), Probes(size=10), CLASSES)
    with pytest.raises(DatassayError, match="20 sentences, 60 are needed"):
        plant(table(), Probes(suites=["out_of_distribution"], size=60), CLASSES, (), FOREIGN)
    lone = table()
    lone.loc[lone["label"] == 2, "label"] = 0
    lone.loc[[5, 8], "label"] = 2
    with pytest.raises(DatassayError, match="class number 2 would have no train row left"):
        low = np.isin(np.arange(N - 60), [5, 8]).astype(float)
        plant(lone, Probes(suites=["typical"], size=4), CLASSES, (low,))


def test_the_card_counts_probes_apart():
    examples, probes = plant(table(), Probes(size=10), CLASSES, TYPICAL)
    names = ["a", "b", "c"]
    card = card_with_probes({"label_names": names, "noise": {"n_noisy": 3}}, examples, probes)
    assert card["counts"]["probe"]["n"] == 50 and card["counts"]["train"]["n"] == N - 60 - 50
    assert card["probes"] == dict.fromkeys(Probes().suites, 10) and card["noise"]["n_noisy"] == 0


def test_disturbed_images():
    rng, grey = np.random.default_rng(0), np.full((32, 32, 3), 128, np.uint8)
    noisy = noisy_image(grey, None, rng)
    assert noisy.dtype == np.uint8 and (noisy == noisy[:, :, :1]).all()
    assert np.std(noisy / 255) == pytest.approx(0.1, rel=0.1)
    assert np.std(noisy_image(np.full((224, 224, 3), 128, np.uint8), None, rng) / 255) == pytest.approx(0.25, rel=0.1)
    half = np.concatenate([np.zeros((32, 16, 3), np.uint8), np.full((32, 16, 3), 200, np.uint8)], axis=1)
    sketch = pencil_sketch(half)
    assert sketch[:, 24:].min() > 250 and sketch[16, 15, 0] < 30, "flat areas turn white, edges stay dark"
    assert random_image(grey, rng).mean() / 255 == pytest.approx(0.315, abs=0.03)  # of clip(N(0, 1), 0, 1)


def test_the_sketch_is_that_of_the_plain_formula():
    """Against a blur written out: Gaussian weights of 7 x 7 pixels, mirrored at the border."""
    pixels = np.random.default_rng(3).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    grey = pixels.astype(float) @ [0.299, 0.587, 0.114]
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (0.3 * 2 + 0.8) ** 2))
    weights /= weights.sum()
    padded = np.pad(255 - grey, 3, mode="reflect")
    blurred = sum(weights[i] * weights[j] * padded[i : i + 20, j : j + 20] for i in range(7) for j in range(7))
    expected = np.clip(grey * 256 / np.maximum(255 - blurred, 1e-6), 0, 255)
    np.testing.assert_allclose(pencil_sketch(pixels)[:, :, 0], expected, atol=0.6)


def test_disturbed_texts():
    rng = np.random.default_rng(0)
    text = " ".join(f"word{i}" for i in range(40))
    changed = [noisy_text(text, 0.3, rng).split() for _ in range(50)]
    kept = np.mean([len(set(words) & set(text.split())) for words in changed])
    assert 26 < kept < 36 and np.mean([len(words) for words in changed]) == pytest.approx(36, abs=1)
    assert noisy_text("one", 0.3, rng) and all(noisy_text("ab cd", 0.3, rng).strip() for _ in range(50))
    words = random_texts(["a b c", "d e"], 30, rng)
    assert {len(w.split()) for w in words} == {2, 3} and set(" ".join(words).split()) == set("abcde")


def npz(folder, name="scores.npz", **arrays):
    np.savez(folder / name, **arrays)
    return ScoreFile(path=name)


def rows(labels, source_rows, **more):
    ids = [f"e{i}" for i in source_rows]
    return pd.DataFrame({"example_id": ids, "label": labels, "source_row": source_rows, **more})


def test_npz_scores_are_those_of_the_source_rows(tmp_path):
    settings = npz(tmp_path, scores=np.arange(6) / 10, labels=np.array([7, 8, 7, 8, 7, 8]))
    train = rows([1, 0, 1], [1, 2, 5])
    assert read_scores(settings, train, tmp_path).tolist() == [0.1, 0.2, 0.5]
    settings = npz(tmp_path, tr_mem=np.arange(6) / 10, tr_labels=np.array([7, 8, 7, 8, 7, 8]))
    assert read_scores(settings, train, tmp_path).tolist() == [0.9, 0.8, 0.5]
    images = rows([0, 0], [0, 1], image=[{"path": "x/b.JPEG"}, {"path": "a.JPEG"}])
    settings = npz(tmp_path, scores=np.array([0.1, 0.9]), filenames=np.array([b"n1/a.JPEG", b"n1/b.JPEG"]))
    assert read_scores(settings, images, tmp_path).tolist() == [0.9, 0.1]


def test_scores_of_other_rows_are_refused(tmp_path):
    labels = np.array([0, 1, 1, 0])
    settings = npz(tmp_path, scores=np.ones(4), labels=labels)
    with pytest.raises(DatassayError, match=r"scores.npz: its labels are not those of the train rows .1 of 4 differ"):
        read_scores(settings, rows([0, 1, 1, 1], [0, 1, 2, 3]), tmp_path)
    assert read_scores(settings, rows([1, 1, 1, 1], [0, 1, 2, 3], true_label=[0, 1, 1, 0]), tmp_path).sum() == 4
    with pytest.raises(DatassayError, match="4 scores, but 'e9' is row 9"):
        read_scores(settings, rows([0], [9]), tmp_path)
    with pytest.raises(DatassayError, match="is nan, only finite"):
        read_scores(npz(tmp_path, scores=np.full(4, np.nan)), rows([0], [1]), tmp_path)
    with pytest.raises(DatassayError, match="none of its arrays"):
        read_scores(npz(tmp_path, other=np.ones(4)), rows([0], [1]), tmp_path)


def test_scores_of_a_table_are_matched_by_id(tmp_path):
    (tmp_path / "s.csv").write_text("name,mem\ne3,0.25\ne1,0.5\n")
    settings = ScoreFile(path="s.csv", id="name", score="mem", says="memorisation")
    assert read_scores(settings, rows([0, 0], [1, 3]), tmp_path).tolist() == [0.5, 0.75]
    with pytest.raises(DatassayError, match=r"s.csv: no score for 'e2' .1 train rows have none"):
        read_scores(settings, rows([0], [2]), tmp_path)
    pd.DataFrame({"id": [1, 3], "score": [0.5, 1.0]}).to_parquet(tmp_path / "s.parquet")
    train = rows([0, 0], [0, 1]).assign(example_id=["3", "1"])
    assert read_scores(ScoreFile(path="s.parquet"), train, tmp_path).tolist() == [1.0, 0.5]


def test_foreign_sentences(tmp_path):
    (tmp_path / "f.txt").write_text("one\n\ntwo\none\n")
    assert read_sentences("f.txt", tmp_path) == ["one", "two"]
    (tmp_path / "f.csv").write_text('text,n\n"a, b",1\nc,2\n')
    assert read_sentences("f.csv", tmp_path) == ["a, b", "c"]
    with pytest.raises(DatassayError, match=r"takes .txt, .csv or .parquet"):
        read_sentences("f.doc", tmp_path)


def test_source_rows_count_the_rows_brought_for_training(tmp_path):
    lines = ["text,label,part"] + [f"t{i},{i % 2},{'test' if i % 4 == 0 else 'train'}" for i in range(40)]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    settings = Dataset(name="d", source="csv", path="d.csv", columns={"text": "text", "split": "part"}, subsample=20)
    examples, _ = prepare(settings, tmp_path, source_rows=True)
    brought = [i for i in range(40) if i % 4]
    for _, row in examples[examples["split"] != "test"].iterrows():
        assert brought[row["source_row"]] == int(row["text"][1:])
    assert (examples.loc[examples["split"] == "test", "source_row"] == -1).all()
    assert "source_row" not in prepare(settings, tmp_path)[0]


def test_pixels_are_read_in_their_own_size():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((5, 9), np.uint8)).save(buffer, "PNG")
    assert read_image({"bytes": buffer.getvalue(), "path": ""}).shape == (5, 9, 3)
    with pytest.raises(DatassayError, match="not an image"):
        read_image(b"no image")


def config(**probes):
    return {
        "datasets": [{"name": "docstrings", "source": "builtin:docstrings", "probes": probes}],
        "encoders": [{"name": "minilm", "kind": "sentence_transformer"}],
        "models": [{"name": "m", "recipe": "head", "encoder": "minilm"}],
    }


@pytest.mark.parametrize(
    ("probes", "fault"),
    [
        ({"suites": ["typical", "typical"]}, "'typical' is named twice"),
        ({"suites": ["typcal"]}, "did you mean 'typical'"),
        ({"suites": ["ordinary"], "scores": {"path": "a.npz"}}, "only the suites typical and atypical need them"),
        ({"scores": {"path": "absent.npz"}}, "probes.scores.path: no file 'absent.npz'"),
        ({"suites": ["typical", "out_of_distribution"]}, "name a file of them"),
        ({"unseen": 5}, "unseen: needs a suite of what is out of distribution"),
        ({"suites": ["random_outputs", "ordinary"]}, "needs at least 2 besides ordinary"),
    ],
)
def test_faults_of_the_config_are_named(probes, fault):
    with pytest.raises(ConfigError, match=fault):
        validate(config(**probes))


def test_probes_need_classes_and_vectors_of_what_they_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = config(suites=["corrupted", "random_outputs"])
    np.save("v.npy", np.ones((3, 2)))
    raw["encoders"] = [{"name": "own", "kind": "vectors", "path": "v.npy"}]
    raw["models"][0]["encoder"] = "own"
    raw["datasets"][0] |= {"encoders": ["own"], "models": ["m"]}
    with pytest.raises(ConfigError, match="encoder 'own' has no vectors of that"):
        validate(raw)
    with pytest.raises(ValueError, match="probes: need classes"):
        Dataset(name="a", source="csv", path="a.csv", columns={"text": "t"}, task="regression", probes={})


def test_strategies_by_votes_need_probes():
    raw = config()
    raw["pruning"] = {"by_column": [{"name": "clean", "column": "noise_share", "keep": "lowest"}]}
    validate(raw)
    del raw["datasets"][0]["probes"]
    with pytest.raises(ConfigError, match="which needs probes on 'docstrings'"):
        validate(raw)
    raw["pruning"]["by_column"][0]["column"] = "category"
    with pytest.raises(ConfigError, match="no measure or estimator computes 'category'"):
        validate(raw)
