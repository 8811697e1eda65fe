"""Figures: they build from awkward tables without a warning, say what they show, and are reproducible to the byte."""

import io
import re
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datassay import reporting
from datassay.errors import DatassayError
from datassay.reporting import style
from datassay.selection.comparison import compare

LONG = "a class with a name that nobody would want to read on an axis"
STRANGE = "数据 👩‍🔬 $x_1 e\u0301 \x00\n مرحبا"
GUIDE = {
    "avg_conf": ("training_dynamics", "low"),
    "variability": ("training_dynamics", None),
    "forgetting": ("training_dynamics", "high"),
    "flat": ("static", "high"),
    "knn_shapley": ("value", "low"),
    "never_learned": ("training_dynamics", "high"),
}


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def measures(n: int = 200) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(n)
    wrong = (rng.random(n) < 0.2).astype(float)
    confidence = np.clip(0.8 - 0.6 * wrong + rng.normal(0, 0.1, n), 0, 1)
    table = pd.DataFrame(
        {
            "example_id": [f"e{i}" for i in range(n)],
            "avg_conf": confidence,
            "variability": rng.random(n) / 2,
            "correctness": np.round(confidence, 1),
            "forgetting": pd.array(rng.integers(0, 5, n), dtype="Int64"),
            "flat": 3.0,
            "knn_shapley": confidence - 0.5,
            "never_learned": pd.array(wrong == 1, dtype="boolean"),
        }
    )
    return table, wrong


def examples(classes: int, image: bool, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(classes)
    table = pd.DataFrame(
        {
            "example_id": [f"e{i}" for i in range(n)],
            "split": rng.choice(["train", "validation", "valuation", "test"], n),
            "label": np.arange(n) % classes,
            "is_noisy": rng.random(n) < 0.1,
        }
    )
    if image:
        return table.assign(image=[{"bytes": png(rng, 5 + i % 3), "path": None} for i in range(n)])
    return table.assign(text=[STRANGE * (i % 9) for i in range(n)])


def png(rng: np.random.Generator, side: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def cells_of(figure) -> np.ndarray:
    """Return the colours of the heat map, red, green and blue of each cell."""
    image = figure.axes[0].images[0]
    return np.ma.getdata(image.to_rgba(image.get_array()))[..., :3]


def gains(gain: float, strategies: int = 1) -> pd.DataFrame:
    """A comparison in which strategies beat random by the same gain."""
    cells = [("random", 0.7), *((f"strategy_{i}", 0.7 + gain) for i in range(strategies))]
    runs = [(s, 0.5, seed, 50, level + seed / 100) for s, level in cells for seed in range(2)]
    return compare(pd.DataFrame(runs, columns=["strategy", "ratio", "seed", "n_kept", "accuracy"]))


def pruning(strategies: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cells = [(s, r) for s in ["random", *(f"strategy_{i}" for i in range(strategies))] for r in (0.2, 0.5, 0.8)]
    runs = [(s, r, seed, int(100 * r), 0.5 + r / 3 + rng.normal(0, 0.01)) for s, r in cells for seed in range(3)]
    runs += [("full", 1.0, seed, 100, 0.9) for seed in range(3)]
    return pd.DataFrame(runs, columns=["strategy", "ratio", "seed", "n_kept", "accuracy"])


def metrics(seeds: int = 2) -> pd.DataFrame:
    keys = [(s, e, part) for s in range(seeds) for e in (1, 2, 3) for part in ("train", "validation", "test")]
    table = pd.DataFrame(keys, columns=["seed", "epoch", "split"])
    return table.assign(loss=1 / table["epoch"], accuracy=0.5 + table["epoch"] / 10 + table["seed"] / 100)


def suspects(n: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rank": range(1, n + 1), "example_id": [f"e{i}" for i in range(n)], "label": LONG,
            "suggested_label": ["dog", None, LONG] * (n // 3), "true_label": ["dog", None, "owl"] * (n // 3),
            "suspicion": 0.9, "text": STRANGE * 30,
        }
    )  # fmt: skip


def drawn(figure) -> list:
    """Draw, and return the axes that hold data, each with its labels."""
    figure.draw_without_rendering()
    return [axes for axes in figure.axes if axes.axison and axes.has_data()]


def title(figure) -> str:
    return figure.texts[0].get_text()


TABLE, WRONG = measures()
FIGURES = {
    "data_map": lambda: reporting.data_map(TABLE, WRONG, name="trec"),
    "data_map_alone": lambda: reporting.data_map(TABLE.drop(columns="correctness"), name="trec"),
    "distributions": lambda: reporting.distributions(TABLE, WRONG, GUIDE, name="trec"),
    "distributions_alone": lambda: reporting.distributions(TABLE, guide=GUIDE, name="trec"),
    "detection": lambda: reporting.detection(reporting.score_detection(TABLE, WRONG, GUIDE), name="trec"),
    "value_histogram": lambda: reporting.value_histogram(TABLE, WRONG, GUIDE, name="trec"),
    "pruning_4": lambda: reporting.pruning_curves(compare(pruning(4)), name="trec"),
    "pruning_17": lambda: reporting.pruning_curves(compare(pruning(17)), name="trec"),
    "comparison_1": lambda: reporting.pruning_comparison(compare(pruning(1)), name="trec"),
    "comparison_4": lambda: reporting.pruning_comparison(compare(pruning(4)), name="trec"),
    "comparison_17": lambda: reporting.pruning_comparison(compare(pruning(17)), name="trec"),
    "training_curves": lambda: reporting.training_curves(metrics(), name="trec"),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_a_figure_says_what_it_shows_and_no_text_hides_another(kind: str) -> None:
    figure = FIGURES[kind]()
    axes = drawn(figure)
    assert axes and title(figure).startswith("trec: ")
    assert all(any(getattr(one, f"get_{edge}")() for one in axes) for edge in ("xlabel", "ylabel"))
    shown = [*figure.texts, *(t for axes in figure.axes for t in (axes.title, axes._left_title, *axes.texts))]
    shown = [text for text in shown if text.get_text().strip()]
    boxes = [text.get_window_extent().padded(-1.5) for text in shown]
    pairs = [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
    assert not pairs, [(shown[i].get_text(), shown[j].get_text()) for i, j in pairs]
    width, height = figure.bbox.size
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


def test_correlation_orders_and_names_constant_columns() -> None:
    table, _ = measures()
    figure = reporting.correlation(table, GUIDE, name="trec")
    shown = drawn(figure)[0]
    names = [tick.get_text() for tick in shown.get_xticklabels()]
    assert sorted(names) == sorted(["avg conf", "variability", "forgetting", "knn shapley", "never learned"])
    assert abs(names.index("avg conf") - names.index("knn shapley")) == 1
    assert "left out: flat" in figure.texts[1].get_text()
    values = np.asarray(shown.collections[0].get_array()).reshape(5, 5)
    expected = table["variability"].rank().corr(table["avg_conf"].rank()) * 100
    assert values[names.index("variability"), names.index("avg conf")] == pytest.approx(expected)


@pytest.mark.parametrize("strategies", [1, 2, 3])
def test_axis_labels_of_a_small_comparison_stay_off_its_subtitle(strategies: int) -> None:
    figure = reporting.pruning_comparison(compare(pruning(strategies)), name="trec")
    figure.draw_without_rendering()
    subtitle = figure.texts[1].get_window_extent()
    labels = [axis.label.get_window_extent() for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    assert not any(label.overlaps(subtitle) for label in labels)
    assert "best mean rank on top" in " ".join(figure.texts[1].get_text().lower().split())


def test_colours_of_small_differences_are_pale_and_those_of_large_ones_full() -> None:
    small, large = (cells_of(reporting.pruning_comparison(gains(gain))).reshape(-1, 3)[0] for gain in (0.008, 0.08))
    assert small.min() > 0.8 and large.min() < 0.05


def test_a_data_card_counts_every_row() -> None:
    table = examples(3, image=False)
    table.loc[:9, "split"], table.loc[:4, "label"], table.loc[10:12, "split"] = "pool", -1, "probe"
    figure = reporting.data_card(table, {"name": "pets", "label_names": ["a", "b", "c"]})
    figure.draw_without_rendering()
    parts = re.search(r"60 texts in 3 classes \((.*)\)", figure.texts[1].get_text())[1].split(", ")
    assert sum(int(part.split()[0]) for part in parts) == 60 and parts[-2:] == ["10 pool", "3 probe"]
    assert "pool" in [text.get_text() for text in figure.subfigs[0].legends[0].get_texts()]
    balance = figure.subfigs[0].axes[0]
    assert sum(bar.get_width() for bar in balance.patches) == 60 - 5 - 3, "unlabelled rows and probes are no class"


@pytest.mark.parametrize("longest", [1, 2, 9, 300])
def test_word_counts_are_whole_numbers(longest: int) -> None:
    table = examples(2, image=False).assign(text=["word " * (1 + i % longest) for i in range(60)])
    figure = reporting.data_card(table, {"name": "pets", "label_names": ["a", "b"]})
    figure.draw_without_rendering()
    ticks = figure.subfigs[0].axes[1].get_xticks()
    assert len(ticks) and (ticks == np.round(ticks)).all()


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize("classes", [1, 2, 20, 40])
def test_data_card_of_few_and_many_classes(classes: int, image: bool) -> None:
    card = {"name": "pets", "label_names": [f"{LONG} {i}" for i in range(classes)]}
    figure = reporting.data_card(examples(classes, image), card)
    drawn(figure)
    assert title(figure) == "pets" and f"{classes} class" in figure.texts[1].get_text()
    balance, other = figure.subfigs[0].axes
    assert sum(bar.get_width() for bar in balance.patches) == 60
    assert balance.get_xlabel() == "examples" and other.get_xlabel() and other.get_ylabel()
    assert len(balance.get_yticks()) == min(classes, 20)


def test_data_card_with_a_damaged_image() -> None:
    table = examples(2, image=True)
    table["image"] = [{"bytes": b"no image", "path": None}] * len(table)
    drawn(reporting.data_card(table, {"name": "pets", "label_names": ["cat", "dog"]}))


def test_galleries_of_texts_and_images() -> None:
    rng = np.random.default_rng(0)
    text = reporting.suspicious_gallery(suspects(), name="trec")
    shown = "".join(t.get_text() for t in text.axes[0].texts)
    text.draw_without_rendering()
    assert "→ dog" in shown and "→ –" in shown and style.MISSING_GLYPH in shown
    held = pd.DataFrame({"example_id": [f"e{i}" for i in range(5)], "image": [{"bytes": png(rng, 8)}] * 5})
    picture = reporting.suspicious_gallery(suspects(), held, name="pets")
    picture.draw_without_rendering()
    assert [axes.get_title().splitlines()[1] for axes in picture.axes[:2]] == ["→ dog", "→ –"]


def test_colours_of_a_verdict() -> None:
    figure = reporting.suspicious_gallery(suspects(3), name="trec")
    colours = [t.get_color() for t in figure.axes[0].texts if "→" in t.get_text()]
    assert colours == [style.GREEN, style.DARK, style.RED]


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (lambda: reporting.data_map(pd.DataFrame({"avg_conf": [0.5]})), "'variability' was not computed"),
        (lambda: reporting.data_map(measures(200)[0].head(0)), "no train examples"),
        (lambda: reporting.distributions(pd.DataFrame({"text": ["x"]})), "no measure or value"),
        (lambda: reporting.correlation(pd.DataFrame({"flat": [1.0, 1.0]}), GUIDE), "needs two columns"),
        (lambda: reporting.detection(reporting.score_detection(measures()[0], [0] * 200, GUIDE)), "known to be right"),
        (lambda: reporting.detection(reporting.score_detection(measures()[0], [np.nan] * 200, GUIDE)), "set `noise` of the data set"),
        (lambda: reporting.detection(reporting.score_detection(measures()[0], [np.nan] * 200, GUIDE)), "`columns.true_label`"),
        (lambda: reporting.detection(reporting.score_detection(measures()[0][[]], measures()[1], GUIDE)), "no measure or value has a number"),
        (lambda: reporting.value_histogram(pd.DataFrame({"text": ["x"]})), "no data values"),
        (lambda: reporting.pruning_curves(compare(pruning(1).tail(3))), "no pruned model"),
        (lambda: reporting.pruning_curves(compare(pruning(2).assign(accuracy=np.nan))), "no labelled test"),
        (lambda: reporting.pruning_comparison(compare(pruning(1).query("strategy != 'random'"))), "'random' was not run"),
        (lambda: reporting.training_curves(pd.DataFrame()), "no metrics"),
        (lambda: reporting.suspicious_gallery(suspects(3).head(0), name="trec"), "no suspicious example"),
        (lambda: reporting.suspicious_gallery(suspects(3).assign(likely_mislabelled=False)), "no example looks"),
        (lambda: reporting.data_card(examples(2, image=False).head(0), {"label_names": ["a", "b"]}), "is empty"),
    ],
)  # fmt: skip
def test_nothing_to_draw_is_a_figure_that_says_why(draw, reason: str) -> None:
    figure = draw()
    figure.draw_without_rendering()
    assert reason in " ".join(figure.axes[0].texts[0].get_text().split())


@pytest.mark.parametrize("n", [1, 2])
def test_a_handful_of_examples_can_be_drawn(n: int) -> None:
    table, wrong = measures(n)
    for figure in (
        reporting.data_map(table, wrong),
        reporting.distributions(table, wrong, GUIDE),
        reporting.correlation(table, GUIDE),
        reporting.value_histogram(table, wrong, GUIDE),
    ):
        figure.draw_without_rendering()


def test_large_data_are_drawn_as_cells_not_points() -> None:
    table, wrong = measures(30_000)
    figure = reporting.data_map(table, wrong)
    figure.draw_without_rendering()
    assert sum(len(c.get_offsets()) for axes in figure.axes for c in axes.collections) < 10_000


def test_labels_are_spread_in_order_and_within_bounds() -> None:
    wishes = [0.5, 0.5, 0.52, 0.9, 0.1]
    placed = style.spread_labels(wishes, 0.1, 0.0, 1.0)
    order = np.argsort(wishes, kind="stable")
    assert (np.diff(placed[order]) >= 0.1 - 1e-12).all() and placed.min() >= 0 and placed.max() <= 1
    np.testing.assert_allclose(placed[[3, 4]], [0.9, 0.1])  # those with room stay
    np.testing.assert_allclose(placed[:3].mean(), np.mean(wishes[:3]))
    np.testing.assert_allclose(style.spread_labels([0.9, 0.9], 0.8, 0.0, 1.0), [0.2, 1.0])


def test_text_without_a_glyph_is_replaced_and_dollars_are_no_formula() -> None:
    assert style.printable(STRANGE) == "□□ □□ \\$x_1 e مرحبا"
    assert style.printable("abcdef", 4) == "abc…"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_equal_figures_are_equal_bytes(tmp_path, suffix: str) -> None:
    for name in ("a", "b"):
        reporting.save_figure(reporting.training_curves(metrics(), name="trec"), tmp_path / f"{name}.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
    assert first == second and len(first) > 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a.{suffix}", f"b.{suffix}"]


def test_the_theme_leaves_no_trace_and_a_folder_in_the_way_is_one_line(tmp_path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figure = reporting.training_curves(metrics())
    assert dict(mpl.rcParams) == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatassayError, match="cannot write"):
        reporting.save_figure(figure, tmp_path / "file" / "a.png")
