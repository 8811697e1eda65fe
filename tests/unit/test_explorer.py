"""The web page of the map: what is packed into it, and that nothing else can come out of it."""

import base64
import hashlib
import io
import json
import re
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datassay.data.images import encode_png
from datassay.errors import DatassayError
from datassay.reporting.explorer import build_page, packing
from datassay.reporting.explorer.columns import MISSING, shown_columns, texts_of
from datassay.reporting.explorer.packing import pack_array, pack_thumbnails, thumbnail_side

NAMES = ["cat", "dog"]


def tables(n=60, **columns):
    """Tables of n rows, the last ten of them test rows."""
    rng = np.random.default_rng(0)
    ids = [f"row-{i}" for i in range(n)]
    labels = rng.integers(0, 2, n)
    assay = pd.DataFrame({"example_id": ids, "split": ["train"] * (n - 10) + ["test"] * 10})
    assay["label"] = pd.Series([NAMES[label] for label in labels], dtype="str")
    assay["true_label"] = assay["label"].where(np.arange(n) >= 5, "cat")
    assay["is_noisy"] = assay["label"] != assay["true_label"]
    assay["is_probe"] = False
    assay["aum"] = np.where(assay["split"] == "train", rng.normal(size=n), np.nan)
    for name, values in columns.items():
        assay[name] = values
    examples = assay[["example_id", "split"]].assign(label=labels, text=[f"text {i}" for i in range(n)])
    maps = {
        "infoverse": assay[["example_id"]].head(n - 10).assign(x=rng.normal(size=n - 10), y=rng.normal(size=n - 10))
    }
    return assay, examples, maps


def page_of(*parts, **options):
    return build_page(*parts, name="pets", label_names=NAMES, **options)


def element(page, name):
    return base64.b64decode(re.search(rf'id="{name}">([^<]*)</script>', page)[1])


def json_of(page, name):
    return json.loads(zlib.decompress(element(page, name)))


def array_of(page, number, dtype):
    planes = np.frombuffer(zlib.decompress(element(page, f"blob{number}")), np.uint8)
    return planes.reshape(np.dtype(dtype).itemsize, -1).T.copy().view(np.dtype(dtype).newbyteorder("<")).ravel()


def contents(page):
    """Return the head of the page, and its columns by name."""
    about = json_of(page, "about")
    columns = {}
    for column in about["columns"]:
        values = array_of(page, column["values"], np.float32 if column["kind"] == "number" else np.uint16)
        names = np.array([*column["names"]], dtype=object)
        columns[column["name"]] = (
            values if column["kind"] == "number" else [None if v == MISSING else names[v] for v in values]
        )
    return about, columns


def test_every_value_of_the_train_rows_is_in_the_page():
    parts = tables(flag=pd.Series([True, None, False] * 20, dtype="boolean"), count=pd.Series(range(60), dtype="Int64"))
    about, columns = contents(page_of(*parts))
    train = parts[0].head(50)
    assert (about["rows"], about["total"]) == (50, 50)
    np.testing.assert_array_equal(columns["aum"], train["aum"].to_numpy(np.float32))
    np.testing.assert_array_equal(columns["count"], np.arange(50))
    assert columns["label"] == train["label"].tolist()
    assert columns["flag"] == (["yes", None, "no"] * 20)[:50]
    assert columns["noise"] == ["label wrong" if noisy else "label right" for noisy in train["is_noisy"]]
    assert not {"example_id", "is_noisy", "text"} & columns.keys()
    place = parts[2]["infoverse"]
    np.testing.assert_array_equal(
        array_of(page_of(*parts), about["spaces"][0]["x"], np.float32), place["x"].to_numpy(np.float32)
    )


def test_places_follow_the_ids_not_the_rows():
    assay, examples, maps = tables()
    turned = {"infoverse": maps["infoverse"].iloc[::-1].reset_index(drop=True)}
    assert page_of(assay, examples, maps) == page_of(assay, examples, turned)


def test_the_predicted_label_is_the_largest_logit_and_a_regression_keeps_its_number():
    parts = tables()
    logits = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32)
    _, columns = contents(page_of(*parts, logits=logits))
    assert columns["predicted_label"] == [NAMES[code] for code in logits[:50].argmax(axis=1)]
    _, columns = contents(page_of(*parts, logits=logits[:, :1], task="regression"))
    np.testing.assert_array_equal(columns["predicted_label"], logits[:50, 0])


def test_classes_have_one_code_in_every_column_and_odd_columns_are_no_categories():
    assay = tables()[0].assign(second=["dog"] * 60, free=[f"note {i}" for i in range(60)], empty=None, endless=np.inf)
    columns = {column.name: column for column in shown_columns(assay, ["dog", "cat"], None)}
    assert columns["second"].names == columns["label"].names == ("dog", "cat")
    assert len(columns["free"].names) == 60
    assert not {"empty", "endless"} & columns.keys(), "nothing is known in them"
    many = pd.DataFrame(
        {"example_id": range(2000), "split": "train", "label": "dog", "note": [f"note {i}" for i in range(2000)]}
    )
    assert [column.name for column in shown_columns(many, NAMES, None)] == ["label", "split"]


def test_what_is_known_of_no_row_is_not_offered():
    assay = tables()[0]
    offered = {column.name for column in shown_columns(assay, NAMES, None)}
    assert {"true_label", "noise"} <= offered
    unknown = assay.assign(true_label=pd.Series([None] * 60, dtype="str"), is_noisy=False, aum=np.nan)
    found = shown_columns(unknown, NAMES, None)
    assert {column.name for column in found} == offered - {"true_label", "noise", "aum"}
    once = unknown.assign(aum=[1.0] + [np.nan] * 59)
    assert "aum" in {column.name for column in shown_columns(once, NAMES, None)}


def test_columns_know_their_family_and_meaning():
    assay = tables(**{"aum.other": 1.0, "mine": 2.0})[0]
    columns = {column.name: column for column in shown_columns(assay, NAMES, None)}
    assert columns["aum"].family == "training_dynamics" and columns["aum"].about
    assert columns["aum.other"].family == "training_dynamics (other)"
    assert (columns["mine"].family, columns["label"].family) == ("other", "example")


def test_nothing_in_the_data_is_markup():
    evil = "</script><script>alert(1)</script><!--\"'&\u2028"
    assay, examples, maps = tables(**{evil: 1.0})
    examples["text"], assay["label"] = evil, evil
    page = build_page(assay, examples, maps, name=evil, label_names=[evil])
    assert "alert(1)" not in page.replace("&lt;script&gt;alert(1)", "")
    assert page.count("</script>") == page.count("<script")
    assert json_of(page, f"blob{json_of(page, 'about')['content']}")["text"][0] == evil


def test_only_the_pages_own_script_and_style_may_run():
    page = page_of(*tables())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    for tag, content in (("script", re.search(r'<script type="module">(.*)</script>\s*</body>', page, re.S)[1]),
                         ("style", re.search(r"<style>(.*?)</style>", page, re.S)[1])):  # fmt: skip
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    assert not re.search(r"(src|href)=|@import|url\(http", page.partition('<script type="text/plain"')[0])


def test_equal_tables_give_equal_bytes():
    assert page_of(*tables()) == page_of(*tables())


def test_a_sample_is_stratified_and_says_so():
    assay, examples, maps = tables(1010)
    assay["label"] = ["cat"] * 800 + ["dog"] * 210
    about, columns = contents(page_of(assay, examples, maps, max_points=100))
    assert (about["rows"], about["total"]) == (100, 1000)
    assert columns["label"] == ["cat"] * 80 + ["dog"] * 20


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_arrays_survive_packing(dtype):
    values = np.random.default_rng(0).integers(0, 60000, 1000).astype(dtype)
    planes = np.frombuffer(zlib.decompress(base64.b64decode(pack_array(values))), np.uint8)
    assert np.array_equal(planes.reshape(values.itemsize, -1).T.copy().view(dtype).ravel(), values)


def test_long_texts_are_cut():
    examples = pd.DataFrame({"text": ["abcdefgh", "abcde", None], "options": [["a", "bcdefgh"]] * 3})
    assert dict(texts_of(examples, 5)) == {"text": ["abcd…", "abcde", ""], "options": [["a", "bcde…"]] * 3}


def test_thumbnails_lie_in_the_order_of_the_rows(monkeypatch):
    side, width = 16, 64
    monkeypatch.setattr(packing, "SHEET", width)
    per_sheet = (width // side) ** 2
    colours = np.random.default_rng(0).integers(0, 255, (per_sheet + 3, 3), dtype=np.uint8)
    images = [{"bytes": encode_png(np.broadcast_to(colour, (8, 16, 3)).copy()), "path": ""} for colour in colours]
    images[1] = {"bytes": b"damaged", "path": ""}
    assert thumbnail_side(images, 64) == side and thumbnail_side(images, 12) == 12
    sheets = [np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet)))) for sheet in pack_thumbnails(images, side)]
    assert [sheet.shape for sheet in sheets] == [(width, width, 3), (side, width, 3)]
    for row in (0, 2, width // side, per_sheet - 1, per_sheet + 2):
        sheet, place = divmod(row, per_sheet)
        y, x = np.multiply(divmod(place, width // side), side) + side // 2
        assert np.array_equal(sheets[sheet][y, x], colours[row]), row
    assert len(np.unique(sheets[0][:16, 16:32].reshape(-1, 3), axis=0)) == 1


def test_tables_that_do_not_belong_together_are_refused():
    assay, examples, maps = tables()
    with pytest.raises(DatassayError, match="example_id differ"):
        page_of(assay, examples.iloc[::-1].reset_index(drop=True), maps)
    other = {"infoverse": maps["infoverse"].assign(example_id="x" + maps["infoverse"]["example_id"])}
    with pytest.raises(DatassayError, match="map infoverse"):
        page_of(assay, examples, other)
