"""A real browser, and the app started as a user starts it."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
MODEL = "untrained/lsnet_n"

# When a picture is taken, Gradio's camera closes what its earlier events began (choosing the camera is one), and on a
# busy machine that may have ended by itself just before: the page loses nothing, and its console says "not found".
ENDED_ALREADY = re.compile(r"/gradio_api/stream/[0-9a-f]+/close$")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with a small untrained network."""
    with serving(tmp_path_factory.mktemp("app") / "log", MODEL, "--device", "cpu", "--threads", "1") as url:
        yield url


@contextmanager
def serving(log: Path, model: str, *options: str) -> Iterator[str]:
    """``python app.py`` in a process of its own; yields its address."""
    port = free_port()
    command = ["app.py", "--port", str(port), "--model", model, *options]
    with running(command, port, log):
        yield f"http://127.0.0.1:{port}/"


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], port: int, log: Path, folder: Path = ROOT, **options: Any
) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python program in a process of its own, from when it answers at ``port``; options as of ``Popen``."""
    with (
        log.open("w") as output,
        subprocess.Popen([sys.executable, *command], cwd=folder, stdout=output, stderr=output, **options) as process,
    ):
        try:
            _wait_for(port, process, log)
            yield process
        finally:
            process.terminate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the port answers; asking for pages while the server starts would only slow it down."""
    for _ in range(240):
        if process.poll() is not None:
            pytest.fail(f"the app ended early:\n{log.read_text()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    pytest.fail(f"the app did not answer:\n{log.read_text()}")


@pytest.fixture
def visit(browser: Any, app_url: str) -> Iterator[Callable[..., Any]]:
    """Open the app; at the end of the test, nothing may have gone wrong in the page or been asked of another host."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def visit(query: str = "", width: int = 1280, height: int = 900, slower: float = 1, **options: Any) -> Any:
        options = {"locale": "en-US"} | options
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)  # generous: a shared machine may be busy, and nothing here is about speed
        page.on("console", lambda message: _note_error(message, wrong))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: _note_foreign(request.url, app_url, wrong))
        if slower > 1:  # as on a machine with a slower processor, by this factor
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
        page.goto(f"{app_url}{query}")
        page.wait_for_selector('.lsx[data-ready="true"]')
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


def _note_error(message: Any, wrong: list[str]) -> None:
    address = message.location["url"]
    if message.type == "error" and not ENDED_ALREADY.search(address):
        wrong.append(f"{message.text} ({address})")


def _note_foreign(url: str, own: str, wrong: list[str]) -> None:
    if not url.startswith((own, "data:", "blob:")):
        wrong.append(f"asked of another host: {url}")
