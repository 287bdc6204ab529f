"""What goes wrong in real rooms: two pictures in a row, and a server that is gone for a while."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lsnet
from tests.e2e.conftest import MODEL, free_port, running
from tests.e2e.hand import explorer, hover
from viz.capture import trace_image
from viz.texts import entries

pytestmark = pytest.mark.browser

WINDOW = {"width": 1280, "height": 900}


def upload(page: Any, path: Path) -> None:
    page.locator("#upload input[type=file], input[type=file]").first.set_input_files(str(path))


@pytest.fixture
def two_pictures(tmp_path: Path) -> tuple[Path, Path]:
    """A large picture, which takes its time, and a small one."""
    generator = np.random.default_rng(0)
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.fromarray(generator.integers(0, 255, (2400, 3200, 3), dtype=np.uint8)).save(large)
    Image.fromarray(generator.integers(0, 255, (240, 330, 3), dtype=np.uint8)).save(small)
    return large, small


def test_of_two_pictures_in_a_row_the_last_one_is_shown_and_nothing_is_lost(
    visit: Callable[..., Any], two_pictures: tuple[Path, Path]
) -> None:
    first, last = two_pictures
    page = visit()
    shown: list[str] = []
    page.on("response", lambda r: shown.append(r.url) if "trace.lsnx" in r.url else None)
    with page.expect_request(lambda r: "queue/join" in r.url and first.name in (r.post_data or "")):
        upload(page, first)
    upload(page, last)
    wait_for_picture(page, last)
    assert len(shown) == 2  # the first one was not forgotten on the way
    assert_shown(page, last)
    assert page.locator("#problem").is_hidden()
    page.locator("#plot-kernels .js-plotly-plot").wait_for()


def test_a_picture_that_was_overtaken_on_its_way_to_the_server_does_not_come_back(
    visit: Callable[..., Any], two_pictures: tuple[Path, Path]
) -> None:
    first, last = two_pictures
    page = visit()
    held: list[Any] = []
    page.route("**/upload*", lambda route: route.continue_() if held else held.append(route))
    upload(page, first)
    told = page.locator('[data-part="waiting"]')
    page.wait_for_function("document.querySelector('[data-part=waiting]').textContent")
    assert told.text_content() == entries("en")["inspector.upload.underway"]
    upload(page, last)
    wait_for_picture(page, last)
    told.wait_for(state="hidden")
    with page.expect_response(lambda r: "queue/join" in r.url):
        held[0].continue_()
    page.wait_for_function("!document.querySelector('[data-testid=status-tracker]:not(.hide)')")
    assert_shown(page, last)


def wait_for_picture(page: Any, path: Path) -> None:
    """Until this picture is in the inspector."""
    with Image.open(path) as picture:
        width, height = picture.size
    arrived = "([w, h]) => { const { crop } = lsnetExplorer.boxes; return crop.right <= w && crop.bottom <= h; }"
    page.wait_for_function(arrived, arg=[width, height])
    page.wait_for_function("!document.querySelector('.lsx').dataset.busy")


def assert_shown(page: Any, path: Path) -> None:
    """The inspector has the kernels that the model computes for this picture."""
    trace = trace_image(lsnet.load_predictor(MODEL, device="cpu"), path)
    hover(page, 160, 100)
    kernel = page.evaluate("Array.from(window.lsnetExplorer.kernel(0))")
    token = explorer(page, "token")
    expected = trace.blocks[explorer(page, "block")].kernels[0, :, token["row"], token["col"]]
    np.testing.assert_allclose(kernel, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_without_a_server_the_picture_can_still_be_explored_and_the_page_comes_back(
    browser: Any, tmp_path: Path
) -> None:
    port = free_port()
    command = ["app.py", "--port", str(port), "--model", MODEL, "--device", "cpu", "--threads", "1"]
    locales = {"en": "en-US", "zh-CN": "zh-CN"}
    pages = {language: browser.new_page(viewport=WINDOW, locale=locale) for language, locale in locales.items()}
    with running(command, port, tmp_path / "first.log") as process:
        for language, page in pages.items():
            page.set_default_timeout(240_000)
            page.goto(f"http://127.0.0.1:{port}/?img=coffee&lang={language}")
            page.wait_for_function("window.lsnetExplorer?.example === 'coffee'")
            page.locator("#plot-kernels .js-plotly-plot").wait_for()
        process.kill()
    for language, page in pages.items():
        page.bring_to_front()
        explore_without_a_server(page, language)
        page.evaluate("window.opened = 'before'")
    with running(command, port, tmp_path / "second.log"):
        for language, page in pages.items():
            page.bring_to_front()
            page.wait_for_function("!window.opened && window.lsnetExplorer?.example === 'coffee'")  # anew by itself
            page.locator("#plot-kernels .js-plotly-plot").wait_for()
            assert page.get_by_text(entries(language)["inspector.connection.lost"]).count() == 0
            page.close()


def explore_without_a_server(page: Any, language: str) -> None:
    """The inspector needs no server, and the visitor is told that there is none."""
    hover(page, 290, 155)
    before = page.evaluate("Array.from(window.lsnetExplorer.kernel(0))")
    hover(page, 120, 300)
    assert page.evaluate("Array.from(window.lsnetExplorer.kernel(0))") != before
    page.mouse.down()
    page.mouse.up()  # a pin asks for the views below
    page.get_by_text(entries(language)["inspector.connection.lost"]).wait_for()
    page.get_by_text(entries(language)["inspector.connection.lost.title"]).wait_for()
    assert "Attempting reconnection" not in page.inner_text("body")
    hover(page, 290, 155)
    assert page.evaluate("Array.from(window.lsnetExplorer.kernel(0))") == before
