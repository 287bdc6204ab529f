"""A page to take home, opened from disk with the network off; and how the app hands one out."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lsnet
from tests.e2e.conftest import MODEL
from tests.e2e.hand import brackets_grow, explorer, hover
from viz.capture import trace_image
from viz.examples import examples
from viz.lessons import lessons
from viz.standalone import Place, standalone_page, step_page
from viz.texts import entries
from viz.trace import ForwardTrace

pytestmark = pytest.mark.browser
Open = Callable[..., Any]
COFFEE = next(example for example in examples() if example.id == "coffee")


@pytest.fixture(scope="module")
def predictor() -> lsnet.Predictor:
    return lsnet.load_predictor(MODEL, device="cpu")


@pytest.fixture(scope="module")
def trace(predictor: lsnet.Predictor) -> ForwardTrace:
    return trace_image(predictor, COFFEE.path)


@pytest.fixture
def open_file(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a page from disk, offline; nothing may go wrong in it, and nothing may be asked of any host."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def note_foreign(url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            wrong.append(f"asked of a host: {url}")

    def open_file(page: str | Path, **options: Any) -> Any:
        path = page if isinstance(page, Path) else tmp_path / "page.html"
        if isinstance(page, str):
            path.write_text(page, encoding="utf-8")
        context = browser.new_context(**{"locale": "en-US", "offline": True} | options)
        contexts.append(context)
        opened = context.new_page()
        opened.set_default_timeout(240_000)
        opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("request", lambda request: note_foreign(request.url))
        opened.goto(path.as_uri())
        opened.wait_for_selector('.lsx[data-ready="true"]')
        return opened

    yield open_file
    for context in contexts:
        context.close()
    assert wrong == []


def assert_shows(page: Any, trace: ForwardTrace) -> None:
    """Kernels, and the sum that is written out, are those of the trace at the place that the page says."""
    block = trace.blocks[explorer(page, "block")]
    token = trace.geometry.pixel_to_token(explorer(page, "pixel.x"), explorer(page, "pixel.y"), block)
    assert (explorer(page, "token.row"), explorer(page, "token.col")) == token
    assert token is not None
    shown = [explorer(page, f"kernel({group})") for group in range(len(block.kernels))]
    np.testing.assert_allclose(shown, block.kernels[:, :, *token].numpy(), rtol=1e-4, atol=1e-5)
    assert explorer(page, "equation.expected") == pytest.approx(block.aggregated[0, *token].item(), rel=1e-5)
    assert explorer(page, "equation.output") == pytest.approx(explorer(page, "equation.expected"), rel=1e-3, abs=1e-5)


def test_hovering_shows_what_the_model_computed(open_file: Open, trace: ForwardTrace) -> None:
    picture = Image.open(COFFEE.path).convert("RGB")
    place = Place("blocks2.3", (365, 275), "similarity")
    page = open_file(standalone_page(trace, picture, source=MODEL, trained=False, example=COFFEE, place=place))
    assert explorer(page, "block") == "blocks2.3"
    assert explorer(page, "pixel") == {"x": 365, "y": 275}
    assert explorer(page, "view") == "similarity"
    assert_shows(page, trace)
    for x, y in ((290, 155), (218, 280)):
        hover(page, x, y)
        assert_shows(page, trace)
    assert page.url.endswith("page.html")  # a file keeps its address
    for part in ("copy-link", "save-html"):  # both need a server
        assert page.locator(f'[data-part="{part}"]').is_hidden()
    page.locator("summary", has_text=entries("en")["inspector.takehome"]).click()
    with page.expect_download() as download:
        page.locator('[data-part="save-csv"]').click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert len(rows) == 1 + len(trace.blocks["blocks2.3"].kernels)  # type: ignore[arg-type]


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-US"), ("dark", "zh-CN")])
def test_it_follows_the_readers_theme_and_language(
    open_file: Open, trace: ForwardTrace, scheme: str, locale: str
) -> None:
    picture = Image.open(COFFEE.path).convert("RGB")
    page = open_file(
        standalone_page(trace, picture, source=MODEL, trained=False, example=COFFEE), color_scheme=scheme, locale=locale
    )
    assert page.locator(".lsx").get_attribute("data-theme") == scheme
    language = "zh-CN" if locale == "zh-CN" else "en"
    other = "en" if language == "zh-CN" else "zh-CN"

    def assert_speaks(language: str) -> None:
        for key in ("takehome.about", "inspector.ways.title"):
            page.get_by_text(entries(language)[key]).wait_for()
        assert page.locator("html").get_attribute("lang") == language
        assert COFFEE.title[language] in page.title()
        warning = re.sub(r"\*", "", entries(language)["notice.untrained"])[:12]
        assert page.locator(".page-notice", has_text=warning).is_visible()

    assert_speaks(language)
    page.locator("#language").click()
    assert_speaks(other)


def test_a_step_is_read_and_its_answer_unfolds(
    open_file: Open, predictor: lsnet.Predictor, trace: ForwardTrace
) -> None:
    page = open_file(step_page(1, "two-boxes", predictor=predictor), viewport={"width": 390, "height": 800})
    step = next(step for step in lessons("en")[0].steps if step.name == "two-boxes")
    page.get_by_role("heading", name=step.title).wait_for()
    answer = page.locator(".page-ask:visible details p")
    assert not answer.is_visible()
    page.locator(".page-ask:visible summary").click()
    assert answer.is_visible()
    assert explorer(page, "pixel") == {"x": step.state.px[0], "y": step.state.px[1]}
    assert_shows(page, trace)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_prints_what_is_seen_and_nothing_for_hands(
    open_file: Open, predictor: lsnet.Predictor, trace: ForwardTrace
) -> None:
    page = open_file(step_page(3, "side-by-side", predictor=predictor), viewport={"width": 1280, "height": 900})
    brackets_grow(open_file(step_page(2, "nine-weights", predictor=predictor)))
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 690, "height": 980})  # an A4 page between its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 690
    for canvas in page.locator("canvas:visible").all():
        panel, box = canvas.locator("xpath=ancestor::*[contains(@class, 'lsx-panel')]"), canvas.bounding_box()
        outer = panel.bounding_box() if panel.count() else {"x": 0, "width": 690}
        assert outer["x"] <= box["x"] + 3
        assert box["x"] + box["width"] <= outer["x"] + outer["width"] + 1
    assert page.locator("select:visible, #language:visible, [data-part=present]:visible").count() == 0
    cells = page.locator(".page-step tbody tr:visible").first.locator("td").all()
    lefts = [cell.bounding_box() for cell in cells]
    assert all(a["x"] + a["width"] <= b["x"] + 1 for a, b in pairwise(lefts))


def test_the_app_hands_out_a_visitors_own_picture(
    visit: Open, open_file: Open, predictor: lsnet.Predictor, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (15, 20, 3), np.uint8)
    Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC).save(tmp_path / "aunt-mary.png")
    app = visit()
    with app.expect_response(lambda response: "trace.lsnx" in response.url):
        app.locator("#upload input[type=file], input[type=file]").first.set_input_files(tmp_path / "aunt-mary.png")
    app.wait_for_function("window.lsnetExplorer.example === null && !document.querySelector('.lsx').dataset.busy")
    hover(app, 150, 120)
    app.locator("summary", has_text=entries("en")["inspector.takehome"]).click()
    with app.expect_download() as download:
        app.locator('[data-part="save-html"]').click()
    kept = tmp_path / download.value.suggested_filename
    download.value.save_as(kept)
    assert "aunt-mary" not in kept.read_text(encoding="utf-8")
    page = open_file(kept)
    assert explorer(page, "block") == explorer(app, "block")
    assert explorer(page, "pixel") == explorer(app, "pixel")
    assert_shows(page, trace_image(predictor, tmp_path / "aunt-mary.png"))


def test_the_app_hands_out_a_lessons_step(visit: Open, open_file: Open, tmp_path: Path) -> None:
    app = visit("?lesson=1&step=two-boxes&lang=zh-CN")
    with app.expect_download() as download:
        app.locator('#lesson-drawer [data-part="take-home"]').click()
    assert download.value.suggested_filename == "seeing-large-focusing-small-two-boxes.html"
    kept = tmp_path / "step.html"
    download.value.save_as(kept)
    page = open_file(kept)
    step = next(step for step in lessons("zh-CN")[0].steps if step.name == "two-boxes")
    page.get_by_role("heading", name=step.title).wait_for()
    assert explorer(page, "pixel") == {"x": step.state.px[0], "y": step.state.px[1]}
    trained = lsnet.load_predictor("bundled/lsnet_t", device="cpu")  # which lessons are about, whatever the app shows
    assert_shows(page, trace_image(trained, COFFEE.path))

    app.route(re.compile("component_server"), lambda route: route.fulfill(json=None))
    app.locator('#lesson-drawer [data-part="take-home"]').click()
    app.locator('#lesson-drawer [data-part="problem"]', has_text=entries("zh-CN")["lessons.error.takeHome"]).wait_for()
    assert app.locator('#lesson-drawer [data-part="take-home"]').is_enabled()


def test_the_app_says_why_a_page_cannot_be_had(visit: Open) -> None:
    app = visit("?lang=zh-CN", locale="zh-CN")
    app.route(re.compile("component_server"), lambda route: route.fulfill(json=None))
    app.locator("summary", has_text=entries("zh-CN")["inspector.takehome"]).click()
    app.evaluate("document.querySelector('[data-part=\"save-html\"]').click()")
    app.locator('[data-part="message"]', has_text=entries("zh-CN")["inspector.save.html.failed"]).wait_for()
    assert app.locator('[data-part="save-html"]').is_enabled()
