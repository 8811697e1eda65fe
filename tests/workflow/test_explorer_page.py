"""The web page of the map in a real browser (headless Chromium), on the results of the small run and on hostile texts."""

import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from datassay.reporting.columns import known_noise
from datassay.reporting.explorer import build_page
from datassay.storage import read_csv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title = 'taken'\">",
    "</script><!-- '\"&amp;",
    "emoji 🙂👩‍🔬 and العربية عدد 12 עברית",
    "line\u2028separator\nand a new line\twith a tab",
    '=HYPERLINK("http://a.b")',
    "{{title}} ${x} `tick` \\u0041",
]


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium of this machine; nothing is downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("DATASSAY_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("needs Chromium (apt-get install chromium, or set DATASSAY_CHROMIUM)")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """Open a file; the test fails on any message of the console, any error and any request but the file itself."""
    contexts, faults = [], []

    def open_page(file, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda request: request.url.startswith(("file:", "blob:")) or faults.append(request.url))
        page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
        page.goto(f"file://{file}")
        page.wait_for_selector("html[data-ready]", timeout=60_000, state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def hostile(tmp_path):
    """A page whose ids, classes and texts are all meant to break it."""
    n = len(HOSTILE) * 4
    ids = [f"{text} {i}" for i, text in enumerate(HOSTILE * 4)]
    assay = pd.DataFrame({"example_id": ids, "split": "train", "label": HOSTILE * 4})
    assay["true_label"], assay["is_noisy"], assay["is_probe"] = None, False, False
    for name in ("aum", "<b>column</b>"):
        assay[name] = np.arange(n, dtype=float)
    examples = pd.DataFrame({"example_id": ids, "text": HOSTILE * 4, "options": [HOSTILE[:2]] * n})
    angle = np.arange(n) * 2 * np.pi / n
    maps = {"<i>map</i>": pd.DataFrame({"example_id": ids, "x": np.cos(angle), "y": np.sin(angle)})}
    file = tmp_path / "hostile.html"
    file.write_text(build_page(assay, examples, maps, name="a <b>name</b>", label_names=HOSTILE), encoding="utf-8")
    return file, assay


def train_of(finished, dataset):
    """Return the page of a data set of the small run, and its train rows."""
    results = finished.folder / "results" / dataset
    assay = pd.read_parquet(results / "assay.parquet")
    return results / "report" / "explorer.html", assay[assay["split"] == "train"].reset_index(drop=True)


def counts(page):
    """Return the numbers in the line at the top: shown and all, or all."""
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", page.locator("#count").inner_text())]


def drag(page, tool, corners, modifier=None):
    """Draw with a tool; corners are shares of the stage."""
    page.click(f"button[data-tool={tool}]")
    stage = page.locator("#overlay").bounding_box()
    if modifier:
        page.keyboard.down(modifier)
    for number, (x, y) in enumerate(corners):
        page.mouse.move(stage["x"] + x * stage["width"], stage["y"] + y * stage["height"])
        if not number:
            page.mouse.down()
    page.mouse.up()
    if modifier:
        page.keyboard.up(modifier)


def exported(page, folder):
    with page.expect_download() as download:
        page.click("#export")
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def drawn(page):
    """Return what the map looks like once it has been drawn."""
    return page.evaluate("""() => new Promise((found) => requestAnimationFrame(() => requestAnimationFrame(
      () => found(document.getElementById("points").toDataURL()))))""")


EVERYTHING = [(0.005, 0.075), (0.995, 0.995)]


@pytest.mark.parametrize(("dataset", "content"), [("sentences", "text"), ("digits", "image")])
def test_all_train_rows_are_there_with_all_their_measures(finished, opened, dataset, content):
    file, train = train_of(finished, dataset)
    page = opened(file)
    assert counts(page) == [len(train)]
    assert page.locator("#spaces button").all_inner_texts() == ["infoverse", "embeddings", "two measures"]
    offered = set(page.locator("#colour option").evaluate_all("options => options.map(option => option.value)"))
    measures = {name for name in train.select_dtypes("number") if train[name].notna().any()}
    assert measures | {"label", "predicted_label", "true_label", "noise", "split"} <= offered
    row = train.iloc[7]
    page.fill("#query", row["example_id"])
    page.locator("#hits", has_text="found").wait_for()
    page.keyboard.press("Enter")
    card = page.locator("#card")
    assert row["example_id"] in card.inner_text()
    shown = dict(zip(card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts(), strict=True))
    assert shown["label"] == row["label"] and shown["true label"] == row["true_label"]
    for name in measures & {"aum", "avg_conf", "knn_shapley"}:
        value = float(shown[name.replace("_", " ")].replace("−", "-"))
        assert value == pytest.approx(row[name], rel=5e-3, abs=5e-5), name
    if content == "text":
        assert card.locator(".content").inner_text() == row["text"]
    else:
        assert card.locator(".thumbnail").evaluate("e => e.style.backgroundImage").startswith('url("blob:')


def test_colours_follow_the_chosen_column(finished, opened):
    file, train = train_of(finished, "sentences")
    page = opened(file)
    page.select_option("#colour", "label")
    by_label = drawn(page)
    legend = page.locator("#legend button")
    expected = {f"{name}\n{count}" for name, count in train["label"].value_counts().items()}
    assert set(legend.all_inner_texts()) == expected
    page.select_option("#colour", "aum")
    assert drawn(page) != by_label and page.locator("#legend .scale").is_visible()
    ends = [float(text.strip("≤≥ ").replace("−", "-")) for text in page.locator("#legend .ends span").all_inner_texts()]
    low, high = np.percentile(train["aum"], [2, 98], method="nearest")
    assert (ends[0], ends[2]) == (pytest.approx(low, rel=1e-2), pytest.approx(high, rel=1e-2))


def test_filters_leave_what_pandas_leaves(finished, opened):
    file, train = train_of(finished, "sentences")
    page = opened(file)
    wanted = np.ones(len(train), dtype=bool)
    for name, low, high in (("aum", 0.3, 0.9), ("avg_conf", 0.1, 0.8)):
        low, high = round(train[name].quantile(low), 3), round(train[name].quantile(high), 3)
        page.select_option("#add-filter", name)
        for field, value in zip(page.locator(f"[data-column={name}] .bounds input").all(), (low, high), strict=True):
            field.fill(str(value))
            field.press("Enter")
        wanted &= train[name].astype(np.float32).between(low, high).to_numpy()
        assert counts(page) == [wanted.sum(), len(train)]
    page.select_option("#add-filter", "noise")
    page.locator("[data-column=noise] button", has_text="label wrong").click()
    wanted &= known_noise(train) == 0
    assert counts(page) == [wanted.sum(), len(train)]
    assert 0 < wanted.sum() < len(train)
    page.select_option("#colour", "label")
    page.locator("#legend button").first.click()
    wanted &= (train["label"] != sorted(train["label"].unique())[0]).to_numpy()
    assert counts(page) == [wanted.sum(), len(train)]
    page.locator("[data-column=noise] button", has_text="label right").click()
    assert counts(page) == [0, len(train)] and page.locator("#empty").is_visible()
    page.click("#empty-reset")
    assert counts(page) == [len(train)] and not page.locator("#empty").is_visible()


def test_sliders_filter_too(finished, opened):
    file, train = train_of(finished, "digits")
    page = opened(file)
    page.select_option("#add-filter", "avg_conf")
    page.locator("[data-column=avg_conf] input[type=range]").first.fill("500")
    values = train["avg_conf"].astype(np.float32)
    assert counts(page) == [(values >= (values.min() + values.max()) / 2).sum(), len(train)]
    page.locator("[data-column=avg_conf] button").click()
    assert counts(page) == [len(train)]


@pytest.mark.parametrize("space", ["infoverse", "embeddings", "two measures"])
def test_a_box_around_everything_selects_and_exports_every_id(finished, opened, tmp_path, space):
    file, train = train_of(finished, "sentences")
    page = opened(file)
    page.click(f"#spaces >> text={space}")
    drag(page, "box", EVERYTHING)
    assert page.locator("#selected-count").inner_text() == f"{len(train)} selected"
    page.select_option("#sort", "aum")
    page.click("#direction")
    table = pd.read_csv(exported(page, tmp_path), dtype=str)
    ordered = train.sort_values("aum", ascending=False, kind="stable")
    assert set(table["example_id"]) == set(train["example_id"]) and len(table) == len(train)
    order = train.set_index("example_id")["aum"].loc[table["example_id"]].to_numpy(np.float32)
    assert (np.diff(order) <= 0).all()
    assert dict(zip(table["example_id"], table["label"], strict=True)) == dict(
        zip(ordered["example_id"], ordered["label"], strict=True)
    )


def test_lasso_shift_and_alt(finished, opened):
    page = opened(train_of(finished, "digits")[0])

    def selected():
        return int(re.findall(r"\d+", page.locator("#selected-count").inner_text() or "")[0])

    total = counts(page)[0]
    left = [(0.005, 0.075), (0.5, 0.075), (0.5, 0.995), (0.005, 0.995)]
    right = [(0.5, 0.075), (0.995, 0.075), (0.995, 0.995), (0.5, 0.995)]
    drag(page, "lasso", left)
    part = selected()
    assert 0 < part < total
    drag(page, "lasso", right, "Shift")
    assert selected() == total
    drag(page, "lasso", right, "Alt")
    assert selected() == part
    page.keyboard.press("Control+a")
    assert selected() == total
    page.keyboard.press("Escape")
    assert page.locator("#selected-count").inner_text() == "Selection"


def test_search_counts_jumps_and_selects(finished, opened):
    file, train = train_of(finished, "sentences")
    page = opened(file)
    page.keyboard.press("/")
    page.keyboard.type("RETURN the")
    found = train[(train["example_id"] + "\n" + train["text"]).str.lower().str.contains("return the", regex=False)]
    assert len(found) > 2
    page.locator("#hits", has_text=f"{len(found)} found").wait_for()
    seen = []
    for _ in found.index:
        page.keyboard.press("Enter")
        seen.append(page.locator("#card .id").inner_text())
    assert seen == found["example_id"].tolist()
    page.keyboard.press("Shift+Enter")
    assert page.locator("#card .id").inner_text() == seen[-2]
    page.click("#select-hits")
    assert page.locator("#selected-count").inner_text() == f"{len(found)} selected"


def test_pointing_at_a_point_shows_its_card_and_a_click_keeps_it(finished, opened):
    file, train = train_of(finished, "sentences")
    page = opened(file)
    page.fill("#query", train["example_id"].iloc[3])
    page.locator("#hits", has_text="found").wait_for()
    page.press("#query", "Enter")
    shown = page.locator("#card .id").inner_text()
    stage = page.locator("#overlay").bounding_box()
    middle = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.keyboard.press("Escape")
    assert not page.locator("#card").is_visible()
    page.mouse.move(*middle)
    assert page.locator("#card .id").inner_text() == shown
    page.mouse.click(*middle)
    page.mouse.move(stage["x"] + 5, stage["y"] + stage["height"] - 5)
    assert page.locator("#card.pinned .id").inner_text() == shown


def test_keys_and_wheel_move_the_map_and_fit_brings_it_back(finished, opened):
    page = opened(train_of(finished, "digits")[0], color_scheme="dark")
    before = drawn(page)
    page.focus("#overlay")
    for key in ("ArrowLeft", "+"):
        page.keyboard.press(key)
    page.mouse.move(600, 400)
    page.mouse.wheel(0, -300)
    assert drawn(page) != before
    page.keyboard.press("0")
    assert drawn(page) == before


def test_hostile_texts_are_shown_as_they_are(hostile, opened, tmp_path):
    file, assay = hostile
    page = opened(file)
    assert page.title() == "a <b>name</b> · Datassay" and page.locator("h1").inner_text() == "a <b>name</b>"
    assert page.locator("#spaces button").first.inner_text() == "<i>map</i>"
    page.select_option("#colour", "<b>column</b>")
    page.select_option("#add-filter", "<b>column</b>")
    page.select_option("#add-filter", "label")
    drag(page, "box", EVERYTHING)
    rows = page.locator(".row").all()
    assert [row.get_attribute("title") for row in rows[:7]] == assay["example_id"].tolist()[:7]
    for row, text in zip(rows[:7], HOSTILE, strict=True):
        row.click()
        said = page.locator("#card .content")
        assert said.first.evaluate("e => e.textContent") == text
        assert said.nth(1).evaluate("e => e.textContent") == f"{HOSTILE[0]}  {HOSTILE[0]}\n{HOSTILE[1]}  {HOSTILE[1]}"
        assert page.locator("#card .content *").count() == 0
    page.fill("#query", "العربية")
    page.locator("#hits", has_text="4 found").wait_for()
    assert page.title() == "a <b>name</b> · Datassay"
    file = exported(page, tmp_path)
    raw = file.read_bytes()
    assert raw.startswith(b"example_id,label\r\n") and b"'=HYPERLINK" in raw and not re.search(rb"(^|,)\"?=", raw, re.M)
    table = read_csv(file)
    assert table["example_id"].tolist() == assay["example_id"].tolist()
    assert table["label"].tolist() == assay["label"].tolist()


@pytest.fixture
def plain(tmp_path):
    """A page of 40 rows with a suspicion, of which no true label is known."""
    n = 40
    assay = pd.DataFrame({"example_id": [f"r{i}" for i in range(n)], "split": "train", "label": ["a", "b"] * (n // 2)})
    assay["true_label"], assay["is_noisy"], assay["is_probe"] = pd.Series([None] * n, dtype="str"), False, False
    assay["suspicion"] = np.linspace(0, 1, n)
    maps = {"map": assay[["example_id"]].assign(x=np.arange(n) % 7, y=np.arange(n) // 7)}
    file = tmp_path / "plain.html"
    file.write_text(build_page(assay, assay[["example_id"]], maps, name="plain"), encoding="utf-8")
    return file


def test_a_page_opens_with_the_suspicion_and_offers_what_is_known(plain, opened):
    page = opened(plain)
    assert page.locator("#colour").input_value() == "suspicion" and page.locator("#legend .scale").is_visible()
    offered = page.locator("#colour option").evaluate_all("options => options.map(option => option.value)")
    assert sorted(offered) == ["label", "split", "suspicion"]


@pytest.mark.parametrize("width", [320, 420, 800])
def test_a_narrow_page_keeps_a_map_to_select_from(plain, opened, tmp_path, width):
    page = opened(plain, viewport={"width": width, "height": 740})
    stage = page.locator("#overlay").bounding_box()
    assert stage["width"] == width and 320 <= stage["height"] < 740 and stage["y"] + stage["height"] <= 740
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drag(page, "box", EVERYTHING)
    assert page.locator("#selected-count").inner_text() == "40 selected"
    page.locator(".row").first.scroll_into_view_if_needed()
    assert page.locator(".row").first.is_visible()
    assert len(pd.read_csv(exported(page, tmp_path))) == 40


def test_bare_tables_make_a_page_too(opened, tmp_path):
    n = 30
    assay = pd.DataFrame({"example_id": [f"r{i}" for i in range(n)], "split": "train", "label": np.linspace(-1, 1, n)})
    assay["is_noisy"] = assay["is_probe"] = False
    assay.loc[:2, "label"] = np.nan
    partly, elsewhere = [np.nan, 2.0, 4.0] * 10, [1.0, np.nan, np.nan] * 10
    for name, values in {"constant": 1.0, "nowhere": np.nan, "partly": partly, "elsewhere": elsewhere}.items():
        assay[name] = values
    file = tmp_path / "bare.html"
    predictions = np.zeros((n, 1), dtype=np.float32)
    page_text = build_page(
        assay, assay[["example_id"]], {}, name="bare", logits=predictions, task="regression", max_points=24
    )
    file.write_text(page_text, encoding="utf-8")
    page = opened(file)
    assert page.locator("#note").inner_text().startswith("A sample of 24 of 30 rows")
    assert not page.locator("option[value=nowhere]").count()
    for name in ("constant", "elsewhere", "partly"):
        page.select_option("#colour", name)
        page.select_option("#add-filter", name)
    page.select_option("#axis-x", "elsewhere")
    page.select_option("#axis-y", "partly")
    assert (
        counts(page) == [0, 24]
        and page.locator("#empty").is_visible()
        and not page.locator("#empty-reset").is_visible()
    )
    page.select_option("#axis-x", "constant")
    shown = counts(page)[0]
    assert 0 < shown < 24 and f"{24 - shown} without a value here" in page.locator("#note").inner_text()
    least, _most = page.locator("[data-column=partly] .bounds input").all()
    least.fill("9")
    least.press("Enter")
    assert counts(page) == [0, 24] and page.locator("#empty-reset").is_visible()
    least.fill("nine")
    least.press("Enter")
    assert least.get_attribute("aria-invalid") == "true" and counts(page) == [0, 24]
