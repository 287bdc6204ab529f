"""The app as a stranger uses it: their own photo, bad files, both languages, the programmatic interface."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lsnet
from tests.e2e.conftest import MODEL
from tests.e2e.hand import explorer, hover
from viz.capture import trace_image
from viz.examples import examples
from viz.texts import entries
from viz.trace import ForwardTrace

pytestmark = pytest.mark.browser
Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def predictor() -> lsnet.Predictor:
    return lsnet.load_predictor(MODEL, device="cpu")


@pytest.fixture
def strangers_photo(tmp_path: Path) -> Path:
    """A picture that the app has never seen, of an odd size."""
    y, x = np.mgrid[0:421, 0:613]
    waves = np.stack([np.sin(x / 17), np.cos(y / 23), np.sin((x + y) / 11)], -1)
    Image.fromarray(((waves + 1) * 127).astype(np.uint8)).save(tmp_path / "holiday.png")
    return tmp_path / "holiday.png"


def upload(page: Any, path: Path) -> None:
    page.locator("#upload input[type=file], input[type=file]").first.set_input_files(str(path))


def upload_and_wait(page: Any, path: Path) -> None:
    with page.expect_response(lambda response: "trace.lsnx" in response.url):
        upload(page, path)
    page.wait_for_function("!document.querySelector('.lsx').dataset.busy")


def assert_kernels_as_computed(page: Any, trace: ForwardTrace) -> None:
    """Where the page says it looks, it shows what the model computed there."""
    # In one go, since a dot may be travelling over the picture.
    shown = page.evaluate(
        """(sets) => {
          const { block, pixel, token, kernel } = window.lsnetExplorer;
          const kernels = Array.from({ length: sets[block] }, (_, g) => Array.from(kernel(g)));
          return { block, pixel, token, kernels };
        }""",
        {block.name: len(block.kernels) for block in trace.blocks.values() if block.kind == "ls"},
    )
    block = trace.blocks[shown["block"]]
    token = (shown["token"]["row"], shown["token"]["col"])
    assert trace.geometry.pixel_to_token(shown["pixel"]["x"], shown["pixel"]["y"], block) == token
    np.testing.assert_allclose(shown["kernels"], block.kernels[:, :, *token].numpy(), rtol=1e-4, atol=1e-5)


def test_the_page_opens_on_an_example_that_is_already_analysed(visit: Visit, predictor: lsnet.Predictor) -> None:
    page = visit()
    assert_kernels_as_computed(page, trace_image(predictor, examples()[0].path))
    assert explorer(page, "ready")
    assert "Untrained weights." in page.locator("#notice").inner_text()


def test_a_strangers_photo_goes_from_upload_to_kernels(
    visit: Visit, predictor: lsnet.Predictor, strangers_photo: Path
) -> None:
    page = visit()
    upload_and_wait(page, strangers_photo)
    trace = trace_image(predictor, strangers_photo)
    for x, y in ((300, 200), (210, 60), (480, 400)):
        hover(page, x, y)
        assert_kernels_as_computed(page, trace)
        inputs, weights = (np.array(explorer(page, f"equation.{name}")) for name in ("inputs", "weights"))
        assert explorer(page, "equation.output") == pytest.approx(float(inputs @ weights), rel=1e-4, abs=1e-6)
        assert explorer(page, "equation.output") == pytest.approx(
            explorer(page, "equation.expected"), rel=1e-4, abs=1e-6
        )
    assert "img=" not in page.url  # a visitor's own picture is never put in a link


def test_the_views_follow_a_pinned_pixel(visit: Visit, predictor: lsnet.Predictor) -> None:
    page = visit("?img=coffee")
    page.wait_for_function("window.lsnetExplorer.example === 'coffee'")
    trace = trace_image(predictor, next(e for e in examples() if e.id == "coffee").path)
    x, y = 290, 155
    hover(page, x, y)
    page.mouse.down()
    page.mouse.up()
    block = trace.blocks[explorer(page, "block")]
    row, column = trace.geometry.pixel_to_token(x, y, block)
    page.wait_for_function(
        "(place) => document.querySelector('#plot-kernels')?.innerText.includes(place)",
        arg=f"row {row}, column {column}",
    )
    drawn = page.evaluate(
        "() => document.querySelector('#plot-kernels .js-plotly-plot').calcdata[0][0].z.flat().filter(Number.isFinite)"
    )
    computed = block.kernels[:, :, row, column].numpy().ravel()
    np.testing.assert_allclose(np.sort(drawn), np.sort(computed), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("language", "locale"), [("en", "en-US"), ("zh-CN", "zh-CN")])
def test_bad_files_are_told_and_the_app_goes_on(
    visit: Visit, tmp_path: Path, strangers_photo: Path, language: str, locale: str
) -> None:
    page = visit(f"?lang={language}", locale=locale)
    page.get_by_text(entries(language)["input.upload"]).first.wait_for()
    before = explorer(page, "block")
    for name, content in (("fake.png", b"<html>not a picture</html>"), ("cut.png", strangers_photo.read_bytes()[:900])):
        (tmp_path / name).write_bytes(content)
        upload(page, tmp_path / name)
        code = {"fake.png": "image.unknown_format", "cut.png": "image.truncated"}[name]
        start = entries(language)[f"error.{code}"].split("{")[0]
        page.locator("#problem", has_text=start).wait_for()
        assert not re.search(r"Traceback|/tmp|\.py", page.inner_text("body"))
        assert explorer(page, "block") == before  # what was shown is still there
    upload_and_wait(page, strangers_photo)
    page.locator("#problem").wait_for(state="hidden")


def test_the_page_speaks_the_visitors_language(visit: Visit) -> None:
    page = visit(locale="zh-CN")
    for key in ("input.upload", "input.model", "view.attention.title", "app.privacy"):
        page.get_by_text(entries("zh-CN")[key]).first.wait_for()
    english = [text for text in entries("en").values() if len(text) > 25 and "{" not in text and text.isascii()]
    body = page.inner_text("body")
    assert [text for text in english if text in body] == []


def test_another_example_and_another_resolution(visit: Visit, predictor: lsnet.Predictor) -> None:
    page = visit()
    with page.expect_response(lambda response: "trace.lsnx" in response.url):
        page.locator("#examples button.thumbnail-item, #examples button.thumbnail-lg").nth(2).click()
    page.wait_for_function("!document.querySelector('.lsx').dataset.busy")
    assert_kernels_as_computed(page, trace_image(predictor, examples()[2].path))
    page.locator("#more > button, #more button").first.click()
    with page.expect_response(lambda response: "trace.lsnx" in response.url):
        page.locator("#size").get_by_text("320").click()
    page.wait_for_function("!document.querySelector('.lsx').dataset.busy")
    assert_kernels_as_computed(page, trace_image(predictor, examples()[2].path, size=320))


def test_weights_that_cannot_be_had_leave_the_network_in_place(visit: Visit, predictor: lsnet.Predictor) -> None:
    page = visit()
    menu = page.locator("#model input")
    before = menu.input_value()
    menu.click()
    page.get_by_role("option", name="LSNet-B ·").filter(has_text="Hugging Face").click()
    start = entries("en")["error.weights.no_network"].split("{")[0]
    page.locator("#problem", has_text=start).wait_for()
    assert menu.input_value() == before
    assert_kernels_as_computed(page, trace_image(predictor, examples()[0].path))


def test_a_picture_from_the_webcam(visit: Visit) -> None:
    page = visit(permissions=["camera"])
    page.locator("#more button").first.click()
    page.locator("#camera [aria-label='Capture from camera']").click()
    page.locator("#camera").get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#camera video')?.readyState >= 2")  # frames are coming
    with page.expect_response(lambda response: "trace.lsnx" in response.url):
        page.locator("#camera [aria-label='capture photo']").click()
    page.wait_for_function("window.lsnetExplorer.example === null")
    assert page.locator("#problem").is_hidden()


def test_kernels_follow_a_live_camera_at_the_place_that_was_pinned(visit: Visit) -> None:
    page = visit(permissions=["camera"])
    page.locator("#more button").first.click()
    page.locator("#live").get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#live video')?.readyState >= 2")
    page.locator("#live [aria-label='capture photo']").click()
    page.wait_for_function("window.lsnetExplorer.live > 0")  # a second frame has come, and the rate is known
    x, y = (explorer(page, "pixel")[axis] + 40 for axis in "xy")
    hover(page, x, y)
    page.mouse.down()
    page.mouse.up()
    pinned, before = explorer(page, "pins"), page.evaluate("Array.from(window.lsnetExplorer.kernel(0))")
    assert len(pinned) == 1
    page.wait_for_function(
        "(before) => Array.from(window.lsnetExplorer.kernel(0)).some((weight, tap) => weight !== before[tap])",
        arg=before,
    )  # the camera's test picture moves, and so do its kernels
    assert explorer(page, "pins") == pinned
    page.wait_for_function(
        "document.querySelector('[data-part=fact-run]').innerText.endsWith('pictures a second')"
    )  # which a machine that is busy with something else leaves out for a moment
    page.locator("#model input").click()  # another network while pictures come: a place in the old one means nothing
    page.get_by_role("option", name=entries("en")["model.untrained"].format(name="LSNet-T")).click()
    page.wait_for_function("window.lsnetExplorer.model === 'untrained/lsnet_t'")
    assert explorer(page, "pins") == []
    page.wait_for_function("window.lsnetExplorer.live > 0")
    assert len(explorer(page, "kernel(0)")) == 9


def test_a_link_opens_its_example_at_its_place(visit: Visit, predictor: lsnet.Predictor) -> None:
    page = visit("?img=flower&block=blocks2.3&px=210,150&view=glyphs&lang=zh-CN")
    page.wait_for_function("window.lsnetExplorer.example === 'flower'")
    assert explorer(page, "pixel") == {"x": 210, "y": 150}
    assert (explorer(page, "block"), explorer(page, "view")) == ("blocks2.3", "glyphs")
    assert explorer(page, "lang") == "zh-CN"
    assert_kernels_as_computed(page, trace_image(predictor, next(e for e in examples() if e.id == "flower").path))


def test_a_link_to_another_network_opens_its_block(visit: Visit) -> None:
    page = visit("?img=flower&model=untrained/lsnet_b&block=blocks2.5")  # which the network of the first photo has not
    page.wait_for_function("window.lsnetExplorer.model === 'untrained/lsnet_b'")
    assert explorer(page, "block") == "blocks2.5"


def test_a_screen_reader_is_told_what_gradio_keeps_to_itself(visit: Visit, tmp_path: Path) -> None:
    page = visit("?lang=zh-CN")
    page.wait_for_function("document.documentElement.lang === 'zh-CN'")
    name = f"{examples()[0].title['zh-CN']} · {examples()[0].author}"
    page.get_by_role("button", name=name).wait_for()
    (tmp_path / "notes.png").write_text("no picture")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "notes.png")
    page.wait_for_function("document.querySelector('[role=alert][data-part=alert]').textContent")
    assert page.locator('[data-part="alert"]').text_content() == page.locator("#problem").inner_text().strip()


def test_the_switch_in_the_page_changes_every_language(visit: Visit) -> None:
    page = visit()
    page.locator("[data-part='language'], .lsx-tools button").filter(has_text="简体中文").click()
    page.get_by_role("tab", name=entries("zh-CN")["view.kernels.title"], exact=True).wait_for()
    for key in ("input.upload", "app.privacy"):
        page.get_by_text(entries("zh-CN")[key]).first.wait_for()


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_window(visit: Visit, width: int) -> None:
    page = visit(width=width)
    page.locator("#plot-kernels .js-plotly-plot").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_analyze_works_from_gradio_client(
    app_url: str, predictor: lsnet.Predictor, strangers_photo: Path, tmp_path: Path
) -> None:
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(app_url, verbose=False)
    summary, payload = client.predict(handle_file(strangers_photo), MODEL, 224, "crop", api_name="/analyze")
    trace = trace_image(predictor, strangers_photo)
    assert [entry["id"] for entry in summary["top"]] == [label.id for label, _ in trace.topk(5)]
    assert [entry["probability"] for entry in summary["top"]] == pytest.approx([p for _, p in trace.topk(5)], rel=1e-4)
    assert [block["name"] for block in summary["blocks"]] == list(trace.blocks)
    assert summary["trained"] is False
    magic, _, length, size = struct.unpack_from("<4sIII", Path(payload).read_bytes())
    assert (magic, size) == (b"LSNX", Path(payload).stat().st_size)
    assert json.loads(Path(payload).read_bytes()[16 : 16 + length])["weights"] == trace.weights
    with pytest.raises(AppError, match="does not offer the model /etc/passwd"):
        client.predict(handle_file(strangers_photo), "/etc/passwd", 224, "crop", api_name="/analyze")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(AppError, match="not a picture in a known format"):
        client.predict(handle_file(tmp_path / "notes.txt"), MODEL, 224, "crop", api_name="/analyze")
    with Image.open(strangers_photo) as photo:
        photo.putalpha(photo.convert("L"))
        photo.save(tmp_path / "transparent.png")
    summary, _ = client.predict(handle_file(tmp_path / "transparent.png"), MODEL, 224, "crop", api_name="/analyze")
    expected = trace_image(predictor, tmp_path / "transparent.png").topk(5)  # transparency is laid on white
    assert [entry["probability"] for entry in summary["top"]] == pytest.approx([p for _, p in expected], rel=1e-4)
