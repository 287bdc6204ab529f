"""What visitors bring: nobody else can reach it, nothing speaks of it, and it is gone when they are."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.conftest import MODEL, free_port, running

pytestmark = pytest.mark.browser
NAME = "my-secret-holiday"

# The app, whose sweeps come every second here, and which forgets what its visitors leave after one.
BRISK = """
import sys
from viz.ui import folders, service
from viz.ui.config import parse_arguments
from viz.ui.launch import launch
folders.UPLOAD_SECONDS, service.SWEEP_SECONDS = 3, 1
launch(parse_arguments(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An app that deletes soon: its address, and the folder that holds all its temporary files and its log."""
    folder = tmp_path_factory.mktemp("brisk")
    with app_in(folder) as url:
        yield url, folder


@contextmanager
def app_in(folder: Path) -> Iterator[str]:
    port = free_port()
    (folder / "tmp").mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "HF_HUB_OFFLINE": "1"}
    environment |= {"GRADIO_IS_E2E_TEST": "1"}  # Gradio drops the state of a closed page after a second, not an hour
    command = ["-c", BRISK, "--port", str(port), "--model", MODEL, "--device", "cpu", "--threads", "1"]
    with running(command, port, folder / "log", env=environment):
        yield f"http://127.0.0.1:{port}/"


def files(folder: Path) -> set[Path]:
    # As os.walk does, and Path.rglob does not, whatever goes while it is looked at is left out.
    return {Path(place, name) for place, _, names in os.walk(folder / "tmp") for name in names}


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_a_visitors_picture_is_gone_when_they_are(browser: Any, brisk: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = brisk
    photo = tmp_path / f"{NAME}.png"
    Image.effect_noise((300, 200), 90).convert("RGB").save(photo)
    page = browser.new_page()
    page.set_default_timeout(240_000)
    page.goto(url)
    page.wait_for_selector('.lsx[data-ready="true"]')
    page.locator("#plot-kernels .js-plotly-plot").wait_for()
    time.sleep(2)
    before = files(folder)
    with page.expect_response(lambda response: "trace.lsnx" in response.url) as response:
        page.locator("#upload input[type=file], input[type=file]").first.set_input_files(str(photo))
    address = response.value.url
    page.wait_for_function("window.lsnetExplorer.example === null")
    page.locator("#npz-kernels").wait_for()
    assert files(folder) - before
    # The upload itself is swept away while the visitor is still here, and what they see goes on working.
    until(lambda: not any(NAME in str(path) for path in files(folder)))
    assert httpx.get(address).status_code == 200
    page.locator("#more button").first.click()
    with page.expect_response(lambda response: "trace.lsnx" in response.url) as response:
        page.locator("#size").get_by_text("320").click()
    page.wait_for_function("!document.querySelector('.lsx').dataset.busy")
    later = response.value.url
    page.close()
    until(lambda: files(folder) <= before)
    for gone in (address, later):
        assert httpx.get(gone).status_code == 403
    assert NAME not in (folder / "log").read_text()


def test_nothing_is_left_when_the_app_is_ended(tmp_path: Path) -> None:
    with app_in(tmp_path) as url:
        httpx.post(
            f"{url}gradio_api/upload", files={"files": (f"{NAME}.png", b"a visitor's picture")}
        ).raise_for_status()
        assert any(NAME in str(path) for path in files(tmp_path))
    assert files(tmp_path) == set()


@pytest.mark.parametrize("box", ["#upload", "#camera"])
def test_a_bad_file_leaves_no_trace_of_its_name(
    browser: Any, brisk: tuple[str, Path], tmp_path: Path, box: str
) -> None:
    url, folder = brisk
    bad = tmp_path / f"{NAME}.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing" * 99)
    page = browser.new_page()
    page.set_default_timeout(240_000)
    page.goto(url)
    page.wait_for_selector('.lsx[data-ready="true"]')
    if box == "#upload":
        page.locator("#upload input[type=file], input[type=file]").first.set_input_files(str(bad))
    else:
        page.locator("#more button").first.click()
        page.locator("#camera").get_by_label("Upload file").first.click()
        page.locator("#camera input[type=file]").first.set_input_files(str(bad))
    page.locator("#problem").wait_for()
    page.wait_for_function("document.querySelector('[data-part=waiting]').hidden")
    assert NAME not in page.inner_text("body")
    page.close()
    until(lambda: not any(NAME in str(path) for path in files(folder)))
    assert NAME not in (folder / "log").read_text()


def test_nobody_can_reach_what_they_are_not_told(brisk: tuple[str, Path]) -> None:
    url, folder = brisk
    config = httpx.get(f"{url}config").text
    assert NAME not in config
    example = re.search(r"file=([^\"]+)/[\w-]+/trace\.lsnx", config)
    assert example
    served = Path(example[1])
    assert served.is_relative_to(folder / "tmp")
    private = next((folder / "tmp").glob("lsnet-explorer-private-*"))
    (private / "key").write_bytes(b"a visitor's picture")
    closed = [
        served,  # no listing of keys
        served / "..",
        private / "key",
        served / ".." / private.name / "key",
        folder / "log",
        Path("/etc/passwd"),
        Path(__file__).resolve().parents[2] / "app.py",
    ]
    for path in closed:
        answer = httpx.get(f"{url}gradio_api/file={path}")
        assert answer.status_code in (403, 404), path
        assert b"visitor" not in answer.content
    assert len(next(served.iterdir()).name) >= 20  # keys of 128 bits
    (private / "key").unlink()
    curl = shutil.which("curl")
    if curl:  # a client that does not tidy the path up before it asks
        command = [curl, "-s", "--path-as-is", f"{url}gradio_api/file={served}/../{private.name}/x"]
        assert b"not allowed" in subprocess.run(command, capture_output=True, check=True).stdout


def test_runs_are_not_recorded_in_the_browser_either(brisk: tuple[str, Path]) -> None:
    url, _ = brisk
    assert httpx.get(f"{url}config").json()["run_history"] is False
    assert httpx.get(f"{url}gradio_api/runs").status_code == 404
