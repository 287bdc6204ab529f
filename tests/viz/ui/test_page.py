"""What the page's handlers do, without a browser."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from viz.examples import examples
from viz.ui.api import add_api
from viz.ui.config import AppConfig
from viz.ui.page import Page
from viz.ui.service import Explorer

MODEL = "untrained/lsnet_n"
SETTINGS = (MODEL, 64, "crop")


@pytest.fixture(scope="module")
def page() -> Page:
    page = Page(Explorer(AppConfig(device="cpu", model=MODEL, threads=1)))
    page.build()
    return page


def test_a_camera_waits_until_its_picture_has_arrived(page: Page) -> None:
    first = page._follow_camera(page.opening, Image.new("RGB", (64, 64)), *SETTINGS)
    visit = first[page.visit]
    waiting = page._follow_camera(visit, Image.new("RGB", (64, 64), "red"), *SETTINGS)
    assert waiting[page.visit] == visit
    assert waiting[page.inspector] == first[page.inspector]  # a browser that lags behind may have lost it
    told: Any = SimpleNamespace(_data={"key": visit.key})
    arrived = page._frame_has_arrived(visit, told)[page.visit]
    after = page._follow_camera(arrived, Image.new("RGB", (64, 64), "red"), *SETTINGS)[page.visit]
    assert after.key != visit.key
    assert after.outdated[-1] == visit.key


def test_a_camera_goes_on_where_no_arrival_is_told(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = page._follow_camera(page.opening, Image.new("RGB", (64, 64)), *SETTINGS)[page.visit]
    monkeypatch.setattr("viz.ui.page.FRAME_SECONDS", 0.0)
    assert page._follow_camera(visit, Image.new("RGB", (64, 64)), *SETTINGS)[page.visit].key != visit.key


def test_a_place_in_a_picture_that_is_about_to_go_is_not_taken_for_one_in_the_next(page: Page) -> None:
    wide = page._follow_camera(page.opening, Image.new("RGB", (128, 64)), *SETTINGS)[page.visit]
    block = wide.block

    def told(key: str, x: int) -> Any:
        return SimpleNamespace(_data={"key": key, "block": block, "pixel": {"x": x, "y": 5}})

    assert page._look_at(wide, told(wide.key, 40))[page.visit] == replace(wide, pixel=(40, 5))
    assert page._look_at(wide, told(page.opening.key, 40))[page.visit] == wide


def test_a_pixel_is_kept_inside_a_smaller_picture(page: Page) -> None:
    large = page._follow_camera(page.opening, Image.new("RGB", (900, 900)), *SETTINGS)[page.visit]
    pinned = replace(large, pixel=(880, 880), sent=0.0)
    small = page._follow_camera(pinned, Image.new("RGB", (64, 64)), *SETTINGS)[page.visit]
    geometry = page.explorer.analysis(small.key).trace.geometry
    assert geometry.pixel_to_token(*small.pixel, page.explorer.analysis(small.key).trace.blocks[small.block])


def test_a_program_takes_no_visitors_place() -> None:
    explorer = Explorer(AppConfig(device="cpu", model=MODEL, threads=1))
    with gr.Blocks() as blocks:
        add_api(explorer)
    (analyze,) = (function.fn for function in blocks.fns.values() if function.api_name == "analyze")
    assert analyze is not None
    _, payload = analyze(str(examples()[0].path), None, 64, "crop")
    assert Path(payload).read_bytes().startswith(b"LSNX")
    assert Path(payload).is_relative_to(explorer.folders.uploads)  # which are swept
    assert list(explorer.folders.served.iterdir()) == []
