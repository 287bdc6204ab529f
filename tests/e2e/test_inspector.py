"""The inspector in a real browser: what is shown is what the model computed, and every move is answered in the page."""

import json
import random
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from lsnet.predictor import load_predictor
from tests.conftest import randomize
from tests.e2e.conftest import ROOT
from tests.e2e.hand import explorer, hover, settle
from viz.capture import trace_image
from viz.images import load_picture
from viz.payload import write_payload
from viz.texts import LANGUAGES, entries
from viz.trace import BlockTrace, ForwardTrace
from viz.ui.inspector import inspector_html, inspector_value

pytestmark = pytest.mark.browser

HOSTILE = "${alert(1)}<img src=x onerror=alert(1)>.png"
READY = '.lsx[data-ready="true"]'


class Demo:
    """A page with nothing but the inspector, and the traces that it shows."""

    def __init__(self, folder: Path) -> None:
        examples = json.loads((ROOT / "assets/examples/examples.json").read_text(encoding="utf-8"))
        self.example = next(entry for entry in examples if entry["id"] == "astronaut")
        path = ROOT / "assets" / "examples" / self.example["file"]
        self.picture = load_picture(path)
        self.traces: dict[str, ForwardTrace] = {}
        self.values: dict[str, dict[str, Any]] = {}
        for model in ("lsnet_t", "lsnet_b"):
            predictor = load_predictor(f"untrained/{model}", "cpu")
            randomize(predictor.model)  # so that kernels and attention differ from pixel to pixel
            self.traces[model] = trace_image(predictor, path)
            meta = {"title": self.example["title"], "alt": self.example["alt"], "focus": self.example["focus"]}
            file = write_payload(
                folder / f"{model}.bin", self.traces[model], self.picture, model=model, example="astronaut", **meta
            )
            self.values[model] = inspector_value(file)
        own = write_payload(
            folder / "own.bin", self.traces["lsnet_t"], self.picture, model="lsnet_t", title={"en": HOSTILE}
        )
        self.values["own"] = inspector_value(own)
        self.url = ""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("payloads")
    page = Demo(folder)
    with gr.Blocks(analytics_enabled=False) as blocks:
        inspector = inspector_html(texts(), page.values["lsnet_t"])
        for name, value in page.values.items():
            button = gr.Button(name, elem_id=f"show-{name}")
            button.click(lambda value=value: value, outputs=inspector, show_progress="hidden")
    _, page.url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, allowed_paths=[str(folder)])
    yield page
    blocks.close()


def texts() -> dict[str, dict[str, str]]:
    return {lang: dict(entries(lang)) for lang in LANGUAGES}


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
def open_page(browser: Any, demo: Demo, errors: list[str]) -> Iterator[Any]:
    contexts = []

    def open_page(query: str = "", width: int = 1440, height: int = 1000, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}"))
        page.goto(f"{demo.url}{query}")
        page.wait_for_selector(READY, timeout=120_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def go_to(page: Any, block: str) -> None:
    page.locator(f'[data-block="{block}"]').click()
    page.wait_for_function(f"window.lsnetExplorer.block === {block!r}")


def choose(page: Any, part: str, value: str) -> None:
    page.locator(f'[data-part="{part}"]').select_option(value)
    settle(page)


def some_pixels(trace: ForwardTrace, count: int) -> list[tuple[int, int]]:
    generator, box = random.Random(0), trace.geometry.crop_box
    return [
        (
            generator.randint(int(box.left) + 2, int(box.right) - 3),
            generator.randint(int(box.top) + 2, int(box.bottom) - 3),
        )
        for _ in range(count)
    ]


def window(values: np.ndarray, row: int, col: int) -> np.ndarray:
    return np.pad(values, 1)[row : row + 3, col : col + 3].reshape(-1)


def check_kernels(page: Any, block: BlockTrace, row: int, col: int) -> None:
    assert block.kernels is not None
    assert block.inputs is not None
    assert block.aggregated is not None
    groups = len(block.kernels)
    shown = page.evaluate(f"Array.from({{length: {groups}}}, (_, g) => [...window.lsnetExplorer.kernel(g)])")
    np.testing.assert_array_equal(np.float32(shown), block.kernels[:, :, row, col].numpy())
    equation = page.evaluate(
        "(() => { const e = window.lsnetExplorer.equation;"
        " return { ...e, inputs: [...e.inputs], weights: [...e.weights], products: [...e.products] }; })()"
    )
    channel = equation["channel"]
    assert equation["set"] == channel % groups
    np.testing.assert_array_equal(np.float32(equation["inputs"]), window(block.inputs[channel].numpy(), row, col))
    np.testing.assert_array_equal(np.float32(equation["weights"]), block.kernels[channel % groups, :, row, col].numpy())
    assert equation["expected"] == pytest.approx(float(block.aggregated[channel, row, col]))
    assert abs(equation["output"] - equation["expected"]) <= 1e-4 * np.abs(equation["products"]).sum()


@pytest.mark.parametrize("model", ["lsnet_t", "lsnet_b"])
def test_every_block_shows_what_the_model_computed(open_page: Any, demo: Demo, model: str) -> None:
    page = open_page()
    page.locator(f"#show-{model}").click()
    page.wait_for_function(f"window.lsnetExplorer.model === {model!r}")
    trace = demo.traces[model]
    for name, block in trace.blocks.items():
        if block.kind == "dw":
            continue
        go_to(page, name)
        for x, y in some_pixels(trace, 3):
            hover(page, x, y)
            pixel, token = explorer(page, "pixel"), explorer(page, "token")
            assert abs(pixel["x"] - x) <= 1  # the mouse stands on whole screen pixels
            assert abs(pixel["y"] - y) <= 1
            expected = trace.geometry.pixel_to_token(pixel["x"], pixel["y"], block)
            assert expected == (token["row"], token["col"])
            row, col = expected
            boxes = explorer(page, "boxes")
            assert boxes["token"] == pytest.approx(trace.geometry.token_to_box(row, col, block)._asdict())
            if block.kernels is not None:
                for name_, side in (("perception", block.kernel_large), ("aggregation", block.kernel_small)):
                    box = trace.geometry.window_to_box(row, col, block, side)
                    assert boxes[name_] == pytest.approx(box._asdict())
                check_kernels(page, block, row, col)
            if block.attention is not None:
                i = row * block.grid[1] + col
                for head in range(len(block.attention)):
                    shown = np.float32(page.evaluate(f"[...window.lsnetExplorer.attention({head})]"))
                    np.testing.assert_array_equal(shown, block.attention[head, i].numpy())


def test_a_hundred_hovers_ask_nothing_and_are_quick(
    open_page: Any, demo: Demo, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    page = open_page()
    page.locator("#show-lsnet_b").click()
    page.wait_for_function("window.lsnetExplorer.model === 'lsnet_b'")
    hover(page, 100, 100)
    page.wait_for_timeout(500)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    times = []
    for x, y in some_pixels(demo.traces["lsnet_b"], 100):
        hover(page, x, y)
        times.append(explorer(page, "drawMs"))
    assert requests == []
    median = statistics.median(times)
    record_property("draw_ms_median", median)
    with capsys.disabled():
        print(f"\ninspector: median redraw {median:.2f} ms of 100 hovers, lsnet_b at 224")
    assert median <= 12  # the goal is 4 on an idle two-core machine; a busy one must not fail the suite


def test_no_other_host_is_asked(browser: Any, demo: Demo) -> None:
    page = browser.new_page()
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if "://" in request.url else None)
    page.goto(demo.url)
    page.wait_for_selector(READY)
    page.wait_for_timeout(300)
    page.close()
    assert hosts == {demo.url.split("/")[2]}


def test_the_dot_travels_until_the_visitor_takes_over(open_page: Any) -> None:
    page = open_page()
    start = explorer(page, "pixel")
    page.wait_for_function(f"window.lsnetExplorer.pixel.x !== {start['x']}", timeout=60_000)
    hover(page, 256, 256)
    here = explorer(page, "pixel")
    page.wait_for_timeout(1800)
    assert explorer(page, "pixel") == here


def test_the_keyboard_reaches_everything(open_page: Any) -> None:
    page = open_page("?img=astronaut&px=256,256")
    page.locator('[data-part="picture-upper"]').focus()
    start = explorer(page, "token")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert explorer(page, "token") == {"row": start["row"] + 1, "col": start["col"] + 1}
    page.keyboard.press("Shift+ArrowLeft")
    assert explorer(page, "token")["col"] == max(0, start["col"] - 4)
    page.keyboard.press("Enter")
    assert len(explorer(page, "pins")) == 1
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    settle(page)
    assert len(explorer(page, "pins")) == 2
    assert page.locator('[data-part="compare"]').is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert explorer(page, "pins") == []
    group = explorer(page, "group")
    page.keyboard.press(".")
    assert explorer(page, "group") == group + 1
    block = explorer(page, "block")
    page.keyboard.press("]")
    assert explorer(page, "block") != block
    page.keyboard.press("[")
    assert explorer(page, "block") == block
    page.wait_for_function("document.querySelector('[data-part=live]').textContent.includes('strongest tap')")


def test_a_click_pins_and_a_second_click_unpins(open_page: Any) -> None:
    page = open_page()
    for x, count in ((200, 1), (300, 2), (300, 1)):
        hover(page, x, 256)
        page.mouse.down()
        page.mouse.up()
        assert len(explorer(page, "pins")) == count


def test_a_link_restores_the_view_in_a_fresh_browser(open_page: Any) -> None:
    page = open_page()
    go_to(page, "blocks3.5")
    choose(page, "colouring", "kernelColours")
    hover(page, 300, 200)
    page.wait_for_function("location.search.includes('px=') && location.search.includes('view=kernelColours')")
    pixel, query = explorer(page, "pixel"), page.evaluate("location.search")
    page.wait_for_timeout(500)
    query = page.evaluate("location.search")
    assert "img=astronaut" in query
    fresh = open_page(query)
    assert explorer(fresh, "block") == "blocks3.5"
    assert explorer(fresh, "pixel") == pixel
    assert explorer(fresh, "view") == "kernelColours"


def test_a_visitors_own_picture_stays_out_of_the_address(open_page: Any) -> None:
    page = open_page()
    page.locator("#show-own").click()
    page.wait_for_function("window.lsnetExplorer.example === null")
    hover(page, 300, 200)
    page.wait_for_timeout(500)
    assert not re.search(r"img=|px=", page.evaluate("location.search"))
    # Its name was made to break out of templates; it is text and nothing else.
    assert page.locator('[data-part="fact-picture"]').text_content() == HOSTILE


@pytest.mark.parametrize(
    "colouring", ["context", "contextColours", "similarity", "displacement", "centre", "dynamic", "glyphs"]
)
def test_every_colouring_paints_the_picture(open_page: Any, colouring: str) -> None:
    page = open_page("?img=astronaut&px=256,256")
    page.locator('[data-part="picture-upper"]').focus()
    before = page.evaluate("document.querySelector('[data-part=picture-lower]').toDataURL()")
    choose(page, "colouring", colouring)
    assert page.evaluate("document.querySelector('[data-part=picture-lower]').toDataURL()") != before
    assert page.locator('[data-part="legend"]').is_visible()


def test_languages_switch_in_the_page(open_page: Any) -> None:
    page = open_page("?lang=zh-CN")
    assert explorer(page, "lang") == "zh-CN"
    title = page.locator('[data-part="wall-title"]')
    assert re.search("[一-鿿]", title.text_content())
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.locator('[data-part="language"]').click()
    settle(page)
    assert not re.search("[一-鿿]", title.text_content())
    assert page.evaluate("document.documentElement.lang") == "en"
    assert requests == []


def test_the_legend_speaks_the_language_of_the_page(open_page: Any) -> None:
    page = open_page("?view=contextColours")
    legend = page.locator('[data-part="legend"]')
    before = legend.inner_text()
    assert not re.search("[一-鿿]", before)
    page.locator('[data-part="language"]').click()
    settle(page)
    assert re.search("[一-鿿]", legend.inner_text())


def test_the_keyboard_keeps_its_place_when_a_channel_is_chosen(open_page: Any) -> None:
    page = open_page()
    chips = page.locator('[data-part="equation-channels"] button')
    chips.nth(1).focus()
    page.keyboard.press("Enter")
    settle(page)
    assert chips.nth(1).get_attribute("aria-pressed") == "true"
    assert chips.nth(1).evaluate("(node) => node === document.activeElement")


def test_pins_are_spoken(open_page: Any) -> None:
    page = open_page()
    page.locator('[data-part="picture-upper"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    told = entries("en")["inspector.live.pinned"].format(pins=1)
    page.wait_for_function(
        "(told) => document.querySelector('[data-part=live]').textContent.startsWith(told)", arg=told
    )


@pytest.mark.parametrize("query", ["", "?__theme=dark"])
@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_a_phone_needs_no_sideways_scrolling(open_page: Any, query: str, lang: str) -> None:
    page = open_page(f"{query}{'&' if query else '?'}lang={lang}", width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    overflowing = "(panels) => panels.filter((panel) => panel.scrollWidth > panel.clientWidth + 1).length"
    assert page.locator(".lsx-panel").evaluate_all(overflowing) == 0


def test_touch_moves_the_pointer(open_page: Any) -> None:
    page = open_page("?img=astronaut&px=256,256", width=390, height=844, has_touch=True)
    page.locator('[data-part="picture-upper"]').scroll_into_view_if_needed()
    place = page.evaluate("window.lsnetExplorer.clientOf({ x: 120, y: 300 })")
    page.touchscreen.tap(place["x"], place["y"])
    settle(page)
    assert explorer(page, "pixel")["x"] == pytest.approx(120, abs=3)
    assert explorer(page, "pixel")["y"] == pytest.approx(300, abs=3)


def test_a_component_in_a_hidden_tab_draws_when_it_is_shown(open_page: Any) -> None:
    page = open_page()
    page.evaluate("document.querySelector('#inspector').style.display = 'none'")
    page.evaluate("document.querySelector('#show-lsnet_b').click()")
    page.wait_for_function("window.lsnetExplorer.model === 'lsnet_b'")
    page.evaluate("document.querySelector('#inspector').style.display = ''")
    page.wait_for_selector('[data-block="blocks1.1"]', state="visible")


def test_dark_is_dark(open_page: Any) -> None:
    page = open_page("?__theme=dark")
    assert page.locator(".lsx").get_attribute("data-theme") == "dark"


def test_present_mode_hides_the_controls(open_page: Any) -> None:
    page = open_page()
    page.locator('[data-part="present"]').click()
    assert page.locator('[data-part="colouring"]').is_hidden()
    page.keyboard.press("Escape")
    page.wait_for_selector('[data-part="colouring"]', state="visible")


@pytest.mark.parametrize("kind", ["png", "svg", "csv", "npz"])
def test_results_can_be_taken_home(open_page: Any, demo: Demo, tmp_path: Path, kind: str) -> None:
    page = open_page("?img=astronaut&px=256,256")
    page.locator('[data-part="takehome"] summary').click()
    page.wait_for_function("document.querySelector('[data-part=python]').textContent.includes('trace_image')")
    with page.expect_download() as download:
        page.locator(f'[data-part="save-{kind}"]').click()
    path = tmp_path / f"taken.{kind}"
    download.value.save_as(path)
    block, token = demo.traces["lsnet_t"].blocks[explorer(page, "block")], explorer(page, "token")
    assert block.kernels is not None
    if kind == "npz":
        with np.load(path, allow_pickle=False) as file:
            np.testing.assert_array_equal(file[f"{block.name}/kernels"], block.kernels.numpy())
    elif kind == "csv":
        rows = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(4, 13))
        expected = block.kernels[:, :, token["row"], token["col"]].numpy()
        np.testing.assert_allclose(rows, expected, rtol=1e-6)
    else:
        assert path.read_bytes().startswith(b"\x89PNG" if kind == "png" else b"<svg")
