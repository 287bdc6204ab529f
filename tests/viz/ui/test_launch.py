"""What stands between the page and a crowd: kept answers, a page that is cheap to make, a GPU that is borrowed."""

import asyncio
import base64
import json
import socket
import sys
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import brotli
import gradio as gr
import pytest
import torch
from gradio.context import LocalContext
from starlette.types import Message, Receive, Scope, Send

from lsnet import Predictor
from viz.examples import examples
from viz.ui import threads
from viz.ui.config import AppConfig
from viz.ui.frontend import PAGES_KEPT, KeptFrontend
from viz.ui.launch import build_app, launch
from viz.ui.page import Page
from viz.ui.service import Explorer

MODEL = "untrained/lsnet_n"


class Counting:
    """An application that counts what it is asked for."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        body = f"{scope['path']} {len(self.asked)}".encode() * 100
        headers = [(b"content-type", b"text/javascript"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body[:50], "more_body": True})
        await send({"type": "http.response.body", "body": body[50:]})


def ask(app: Any, *requests: dict[str, Any]) -> list[tuple[int, dict[str, str], bytes]]:
    """Answers (status, headers, body as unpacked) to requests that come at the same time."""

    async def one(path: str, method: str = "GET", query: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
        sent: list[Message] = []
        given = {"accept-encoding": "gzip, br", "host": "localhost"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        raw = [(name.encode(), value.encode()) for name, value in given.items()]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await app(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], told, brotli.decompress(body) if told.get("content-encoding") == "br" else body

    async def all_of_them() -> list[tuple[int, dict[str, str], bytes]]:
        return await asyncio.gather(*(one(**request) for request in requests))

    with ThreadPoolExecutor(1) as elsewhere:  # a browser test may have a loop of its own running here
        return elsewhere.submit(lambda: asyncio.run(all_of_them())).result()


def test_a_script_is_made_once_for_all_who_come_at_the_same_time() -> None:
    inner = Counting()
    answers = ask(KeptFrontend(inner), *[{"path": "/assets/a.js"}] * 5, {"path": "/assets/b.js"})
    assert sorted(inner.asked) == ["/assets/a.js", "/assets/b.js"]
    assert {body[:14] for _, _, body in answers[:5]} in ({b"/assets/a.js 1"}, {b"/assets/a.js 2"})
    status, headers, body = answers[0]
    assert (status, headers["content-type"], headers["content-encoding"]) == (200, "text/javascript", "br")
    assert "immutable" in headers["cache-control"]
    assert len(body) == 1400


@pytest.mark.parametrize(
    "request_",
    [
        {"path": "/gradio_api/queue/data"},
        {"path": "/assets/a.js", "method": "HEAD"},
        {"path": "/assets/a.js", "range": "bytes=0-9"},
        {"path": "/assets/a.js", "accept_encoding": "gzip"},
        {"path": "/", "query": "deep_link=x"},
    ],
)
def test_everything_else_is_asked_of_the_application(request_: dict[str, Any]) -> None:
    inner = Counting()
    app = KeptFrontend(inner)
    for _ in range(2):
        ask(app, request_)
    assert len(inner.asked) == 2


def test_the_page_is_kept_for_each_address_and_never_by_the_browser() -> None:
    inner = Counting()
    app = KeptFrontend(inner)
    here, there = {"path": "/"}, {"path": "/", "host": "elsewhere"}
    (_, headers, first), (_, _, other), (_, _, again) = ask(app, here, there, {**here, "query": "lang=zh-CN"})
    assert first == again != other
    assert headers["cache-control"] == "no-cache"
    ask(app, *[{"path": "/", "host": f"made-up-{i}"} for i in range(3 * PAGES_KEPT)])
    assert len(app._kept) <= PAGES_KEPT


def test_failures_are_passed_on_and_not_kept() -> None:
    inner = Counting(status=404)
    app = KeptFrontend(inner)
    assert ask(app, {"path": "/assets/none.js"})[0][0] == 404
    assert app._kept == {}


@pytest.fixture(scope="module")
def app() -> gr.Blocks:
    return build_app(Explorer(AppConfig(device="cpu", model=MODEL, threads=1)))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part, path)
    else:
        yield path, value


def test_the_page_is_made_of_plain_values(app: gr.Blocks) -> None:
    """Gradio copies the page's configuration deeply for every request: an object in it takes all it hangs on along."""
    plain = (str, int, float, bool, type(None), types.FunctionType)
    config = app.get_config_file()
    assert len(json.dumps(config, default=str)) > 100_000
    assert [(path, type(value)) for path, value in leaves(config) if not isinstance(value, plain)] == []


def test_pictures_wait_in_one_line(app: gr.Blocks) -> None:
    waiting = [fn for fn in app.fns.values() if fn.concurrency_id == "model"]
    assert len(waiting) >= 7  # upload, camera, examples, model, size, mode, and the endpoint for programs
    assert {fn.concurrency_limit for fn in waiting} == {1}


def test_threads_are_no_more_than_a_container_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(threads, "QUOTA", quota)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    for text, cores in (("200000 100000", 2), ("50000 100000", 1), ("max 100000", 16), ("", 16)):
        quota.write_text(text)
        assert threads.available_cores() == cores
    quota.unlink()
    assert threads.available_cores() == 16


def borrowing(monkeypatch: pytest.MonkeyPatch, zero_gpu: str, lends: bool = True) -> list[str]:
    """A stand-in for Hugging Face's package; returns what is noted as functions are decorated and called."""
    noted: list[str] = []

    def gpu(function: Any, duration: int) -> Any:
        noted.append(f"decorated {function.__name__}")

        def borrowed(*arguments: Any) -> Any:
            noted.append("called")
            if not lends:
                raise gr.Error("ZeroGPU quota exceeded")
            return function(*arguments)

        return borrowed

    monkeypatch.setattr("torch.version.cuda", "13.0")
    monkeypatch.setitem(sys.modules, "spaces", types.SimpleNamespace(GPU=gpu))
    monkeypatch.setenv("SPACES_ZERO_GPU", zero_gpu)
    return noted


@pytest.fixture
def asked() -> Iterator[None]:
    """As while an event of the page is answered."""
    token = LocalContext.event_id.set("event")
    yield
    LocalContext.event_id.reset(token)


def test_no_gpu_is_borrowed_before_anybody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = borrowing(monkeypatch, "true")
    Page(Explorer(AppConfig(model=MODEL, threads=1)))
    assert noted == ["decorated _traced_on_gpu"]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("lends", [True, False])
def test_a_gpu_is_borrowed_for_each_picture(lends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Explorer(AppConfig(device="cpu", model=MODEL, threads=1))
    noted = borrowing(monkeypatch, "true", lends)
    explorer = Explorer(AppConfig(model=MODEL, threads=1))
    keys = [e.analyse(examples()[0].path, MODEL, 64, "crop", examples()[0]) for e in (explorer, plain)]
    assert noted == ["decorated _traced_on_gpu", "called"]
    assert explorer.networks.predictor(MODEL).device == torch.device("cpu")  # where the views compute
    logits = [e.analysis(key).trace.logits for e, key in zip((explorer, plain), keys, strict=True)]
    torch.testing.assert_close(*logits)


@pytest.mark.usefixtures("asked")
def test_a_camera_borrows_none_for_each_of_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = borrowing(monkeypatch, "true")
    page = Page(Explorer(AppConfig(model=MODEL, threads=1)))
    page.build()
    noted.clear()
    data = base64.b64encode(examples()[0].path.read_bytes()).decode()
    page.answers.follow_camera(page.opening, {"url": f"data:image/jpeg;base64,{data}"}, MODEL, 64, "crop")
    assert noted == []


@pytest.mark.usefixtures("asked")
def test_nobody_waits_for_what_another_process_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    borrowing(monkeypatch, "true")
    explorer = Explorer(AppConfig(model=MODEL, threads=1))
    with explorer.networks.lock:  # as somebody who computes here, or who did when that process began
        assert explorer.analyse(examples()[0].path, MODEL, 64, "crop")


@pytest.mark.parametrize("present", [False, True])
def test_other_hardware_does_without(present: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = borrowing(monkeypatch, "")
    if not present:
        monkeypatch.setitem(sys.modules, "spaces", None)
        monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    explorer = Explorer(AppConfig(device="cpu", model=MODEL, threads=1))
    assert explorer.find(explorer.analyse(examples()[0].path, MODEL, 64, "crop", examples()[0]))
    assert noted == []


def test_a_predictor_is_loaded_for_threads_only_when_they_are_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(predictor: Predictor) -> int:
        raise AssertionError("measured, though the number was given")

    monkeypatch.setattr("viz.ui.networks.faster_thread_count", refuse)
    Explorer(AppConfig(device="cpu", model=MODEL, threads=1))


def test_a_port_that_is_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # which launching sets
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"error: .*{port}"):
            launch(AppConfig(device="cpu", model=MODEL, threads=1, port=port), block=False)
