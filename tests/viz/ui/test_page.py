"""What the page's handlers do, without a browser."""

import base64
import io
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from lsnet import InputError
from viz.examples import examples
from viz.ui.answers import at_the_browsers_pace
from viz.ui.api import add_api
from viz.ui.config import AppConfig
from viz.ui.page import Page
from viz.ui.service import Explorer
from viz.ui.visit import Visiting

MODEL = "untrained/lsnet_n"
SETTINGS = (MODEL, 64, "crop")


def frame(width: int, height: int, colour: str = "black") -> dict[str, Any]:
    """A camera's picture as the browser sends it."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "JPEG")
    return {"path": None, "url": f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"}


@pytest.fixture(scope="module")
def page() -> Page:
    page = Page(Explorer(AppConfig(device="cpu", model=MODEL, threads=1)))
    page.build()
    return page


def test_a_camera_waits_until_its_picture_has_arrived(page: Page) -> None:
    follow = at_the_browsers_pace(page.answers.guarded(page.answers.follow_camera))
    visiting = Visiting(page.opening)
    follow(visiting, frame(64, 64), *SETTINGS)
    first = visiting.now.key
    next_one = threading.Thread(target=follow, args=(visiting, frame(64, 64, "red"), *SETTINGS))
    next_one.start()
    next_one.join(0.3)
    assert next_one.is_alive()
    assert visiting.now.key == first
    page.answers.guarded(page.answers.frame_has_arrived)(visiting, SimpleNamespace(_data={"key": first}))
    next_one.join(30)
    assert visiting.now.key != first
    assert visiting.now.outdated[-1] == first


def test_a_camera_goes_on_where_no_arrival_is_told(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    follow = at_the_browsers_pace(page.answers.guarded(page.answers.follow_camera))
    visiting = Visiting(page.opening)
    follow(visiting, frame(64, 64), *SETTINGS)
    first = visiting.now.key
    monkeypatch.setattr("viz.ui.answers.FRAME_SECONDS", 0.0)
    follow(visiting, frame(64, 64), *SETTINGS)
    assert visiting.now.key != first


def test_a_place_in_a_picture_that_is_about_to_go_is_not_taken_for_one_in_the_next(page: Page) -> None:
    wide = page.answers.follow_camera(page.opening, frame(128, 64), *SETTINGS)[page.parts.visit]
    block = wide.block

    def told(key: str, x: int) -> Any:
        return SimpleNamespace(_data={"key": key, "block": block, "pixel": {"x": x, "y": 5}})

    assert page.answers.look_at(wide, told(wide.key, 40))[page.parts.visit] == replace(wide, pixel=(40, 5))
    assert page.answers.look_at(wide, told(page.opening.key, 40))[page.parts.visit] == wide


def test_a_pixel_is_kept_inside_a_smaller_picture(page: Page) -> None:
    large = page.answers.follow_camera(page.opening, frame(900, 900), *SETTINGS)[page.parts.visit]
    pinned = replace(large, pixel=(880, 880), sent=0.0)
    small = page.answers.follow_camera(pinned, frame(64, 64), *SETTINGS)[page.parts.visit]
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


@pytest.mark.parametrize("size", [None, 64.5, float("inf"), 8])
def test_a_program_is_told_which_sizes_there_are(size: object) -> None:
    explorer = Explorer(AppConfig(device="cpu", model=MODEL, threads=1))
    with gr.Blocks() as blocks:
        add_api(explorer)
    (analyze,) = (function.fn for function in blocks.fns.values() if function.api_name == "analyze")
    assert analyze is not None
    with pytest.raises(gr.Error, match="a whole number from 32 to 512"):
        analyze(str(examples()[0].path), None, size, "crop")


def test_the_photo_that_is_shown_already_leaves_the_visitor_where_they_are(page: Page) -> None:
    here = replace(page.opening, pixel=(90, 100))
    shown = page.answers.choose_example(here, MODEL, 224, "crop", SimpleNamespace(index=0))
    assert shown[page.parts.visit] == here
    other = page.answers.choose_example(here, MODEL, 224, "crop", SimpleNamespace(index=1))
    assert other[page.parts.visit].key != here.key


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK"])
def test_an_uploaded_picture_is_taken_as_it_came(page: Page, mode: str) -> None:
    path = page.explorer.folders.uploads / f"{mode}.tiff"
    Image.new(mode, (40, 40)).save(path)
    brought = page.answers.bring(page.opening, {"path": str(path), "orig_name": "a.tiff"}, *SETTINGS)[page.parts.visit]
    kept = page.explorer.analysis(brought.key).picture
    assert Path(str(kept)).read_bytes() == path.read_bytes()
    pasted = page.answers.bring(page.opening, frame(50, 40), *SETTINGS)[page.parts.visit]  # in the message itself
    assert pasted.key != brought.key
    assert page.answers.bring(page.opening, None, *SETTINGS)[page.parts.visit] == page.opening


def test_a_message_cannot_name_other_files_of_the_machine(page: Page, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (40, 40)).save(secret)
    link = page.explorer.folders.uploads / "link.png"
    link.symlink_to(secret)
    around = page.explorer.folders.uploads / ".." / ".." / secret.relative_to("/")
    for path in (secret, link, around, examples()[0].path, "/etc/passwd"):
        for handler in (page.answers.bring, page.answers.follow_camera):
            with pytest.raises(InputError) as refused:
                handler(page.opening, {"path": str(path)}, *SETTINGS)
            assert refused.value.code == "image.not_found"
            assert str(path) not in str(refused.value)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, "image.none"),
        ({"path": None, "url": None}, "image.none"),
        ({"path": 5}, "image.none"),
        ({"url": "data:image/png;base64,%%%"}, "image.unreadable"),
        ({"url": "http://127.0.0.1/picture.png"}, "image.none"),
        ({"path": "http://127.0.0.1/picture.png"}, "image.not_found"),
        ({"path": "a\0b"}, "image.not_found"),
    ],
)
def test_a_message_without_a_picture_is_told(page: Page, told: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError) as refused:
        page.answers.bring(page.opening, told, *SETTINGS)
    assert refused.value.code == code
