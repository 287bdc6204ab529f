"""ZeroGPU as Hugging Face's own package does it: it asks a service for a GPU, which another process then has."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
import torch

import lsnet
from tests.e2e.conftest import MODEL, free_port, running
from viz.capture import trace_image
from viz.examples import examples

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(torch.version.cuda is None, reason="this build of torch knows no GPU"),
]

NEVER = {"left": 3, "wait": 60}  # a visitor's quota: seconds that are left, and until there are more


class Lender(ThreadingHTTPServer):
    """Stands in for the service that lends GPUs.

    Attributes:
        asked: what it was asked for, each with its parameters.
        lends: whether it does.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.lends = True

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


class Answer(BaseHTTPRequestHandler):
    server: Lender

    def do_POST(self) -> None:
        address = urlparse(self.path)
        again = "/schedule" in self.server.paths
        self.server.asked.append((address.path, parse_qs(address.query)))
        answer: dict[str, Any] = {}
        if address.path == "/schedule":
            one = {"idle": again, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"}
            answer = one if self.server.lends else NEVER
        body = json.dumps(answer).encode()
        self.send_response(429 if answer is NEVER else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the test asks what it wants to know."""


@pytest.fixture
def lender() -> Iterator[Lender]:
    with Lender() as lender:
        threading.Thread(target=lender.serve_forever, daemon=True).start()
        yield lender
        lender.shutdown()


def test_each_picture_borrows_a_gpu_and_does_without_where_none_is_lent(lender: Lender, tmp_path: Path) -> None:
    pytest.importorskip("spaces", reason="Hugging Face's package is not installed")
    from gradio_client import Client, handle_file

    port, log, photo = free_port(), tmp_path / "log", examples()[0].path
    environment = os.environ | {
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{lender.server_port}",
    }
    command = ["-m", "tests.e2e.lent_cpu", "--port", str(port), "--model", MODEL, "--threads", "1"]
    expected = [p for _, p in trace_image(lsnet.load_predictor(MODEL, device="cpu"), photo).topk(5)]
    with running(command, port, log, env=environment) as app:
        client = Client(f"http://127.0.0.1:{port}/", verbose=False)

        def asked_about_the_photo() -> list[str]:
            before = len(lender.asked)
            summary, _ = client.predict(handle_file(photo), MODEL, 224, "crop", api_name="/analyze")
            assert [entry["probability"] for entry in summary["top"]] == pytest.approx(expected, rel=1e-4)
            return lender.paths[before:]

        assert lender.paths == ["/startup-report"]  # before, nothing is lent
        assert asked_about_the_photo() == ["/schedule", "/allow", "/release"]
        assert asked_about_the_photo() == ["/schedule", "/release"]  # the process that was allowed to is still there
        told = dict(lender.asked)
        assert told["/allow"]["pid"] != [str(app.pid)]
        assert told["/release"]["fail"] == ["false"]
        assert "computed without a GPU" not in log.read_text()
        lender.lends = False
        assert asked_about_the_photo() == ["/schedule"]
        assert "computed without a GPU: Error: " in log.read_text()
