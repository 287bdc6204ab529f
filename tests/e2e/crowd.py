"""Visitors without a browser, cheap enough to have sixty of them beside the server that they visit."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

CONNECTIONS = 6  # that a browser opens to one host
API = "/gradio_api"


@dataclass(frozen=True)
class Events:
    """The page's own events, as its configuration tells them.

    Attributes:
        upload: number of the event that takes a visitor's picture.
        settings: network, size and framing that the page opens with.
        opening: numbers of those that a page asks for when it has opened, in order, with what it sends along.
    """

    upload: int
    settings: tuple[Any, ...]
    opening: tuple[tuple[int, list[Any]], ...]


def events_of(config: dict[str, Any]) -> Events:
    """Find the events in the configuration that ``/config`` answers with."""
    components = {component["id"]: component for component in config["components"]}
    by_element = {c["props"].get("elem_id"): c["id"] for c in components.values()}

    def number(target: int | None, event: str) -> dict[str, Any]:
        return next(d for d in config["dependencies"] if [target, event] in [list(t) for t in d["targets"]])

    upload = number(by_element["upload"], "upload")
    arrive = next(d for d in config["dependencies"] if any(event == "load" for _, event in d["targets"]))
    fill = next(d for d in config["dependencies"] if d.get("trigger_after") == arrive["id"])

    def values(event: dict[str, Any]) -> list[Any]:
        """What its inputs hold at first; of the visit, only the server knows."""
        inputs = (components[i] for i in event["inputs"])
        return [None if c["type"] == "state" else c["props"].get("value") for c in inputs]

    opening = tuple((event["id"], values(event)) for event in (arrive, fill))
    return Events(upload["id"], tuple(values(upload)[2:]), opening)


@dataclass
class Told:
    """What the queue told a visitor.

    Attributes:
        places: places in the queue, 1 for the next one, in the order of being told, with the queue's length.
        started, done: when it was their turn, and when they had their answer; seconds of time.perf_counter().
        answer: the event's outputs.
    """

    places: list[tuple[int, int]] = field(default_factory=list)
    started: float = 0.0
    done: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)


class Visitor:
    """One who opens the page and uses it, as a browser speaks to the server.

    Attributes:
        session: a name for the visit, which nobody else knows.
    """

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.session = secrets.token_hex(6)
        self._url = url.rstrip("/")
        self._client = client

    async def open(self, paths: Sequence[str]) -> float:
        """Fetch the page, its scripts and styles, and its first picture, the last of ``paths``. Returns seconds."""
        start = time.perf_counter()
        host, port = urlsplit(self._url).hostname, urlsplit(self._url).port
        first, *scripts, picture = paths
        waiting = iter(scripts)
        lines = [await asyncio.open_connection(host, port) for _ in range(CONNECTIONS)]
        await _fetch(*lines[0], first)

        async def work(line: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
            for path in waiting:
                await _fetch(*line, path)

        await asyncio.gather(*(work(line) for line in lines))
        await _fetch(*lines[0], picture)
        elapsed = time.perf_counter() - start
        for _, writer in lines:
            writer.close()
        return elapsed

    async def arrive(self, events: Events) -> None:
        """What a page asks for once it is open: the words of its language, then the open view."""
        for event, data in events.opening:
            await self.ask(event, data)

    async def upload(self, picture: bytes, name: str = "photo.png") -> str:
        """Hand a picture over; returns where the server keeps it."""
        answer = await self._client.post(f"{self._url}{API}/upload", files={"files": (name, picture)})
        return str(answer.raise_for_status().json()[0])

    async def join(self, event: int, data: list[Any]) -> None:
        """Get in line with an event."""
        body = {"data": data, "fn_index": event, "session_hash": self.session, "event_data": None, "trigger_id": None}
        answer = await self._client.post(f"{self._url}{API}/queue/join", json=body)
        answer.raise_for_status()

    async def wait(self) -> Told:
        """Stand in line until the answer is there."""
        told = Told()
        async for message in self._messages():
            if message["msg"] == "estimation":
                told.places.append((message["rank"] + 1, message["queue_size"]))
            elif message["msg"] == "process_starts":
                told.started = time.perf_counter()
            elif message["msg"] == "process_completed":
                told.done, told.answer = time.perf_counter(), message["output"]
                assert message["success"], message
        return told

    async def ask(self, event: int, data: list[Any]) -> Told:
        """Get in line, and wait."""
        await self.join(event, data)
        return await self.wait()

    async def _messages(self) -> AsyncIterator[dict[str, Any]]:
        address = f"{self._url}{API}/queue/data"
        async with self._client.stream("GET", address, params={"session_hash": self.session}) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    message = json.loads(line[5:])
                    if message["msg"] == "close_stream":
                        return
                    yield message


def uploaded(path: str, settings: tuple[Any, ...], name: str = "photo.png") -> list[Any]:
    """Data of the upload event: the visit, which the server knows, the picture, and the menus."""
    return [None, {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}, *settings]


def payload_url(answer: dict[str, Any]) -> str:
    """Where the browser would fetch the analysis that an event has answered with."""
    found = re.search(r'"url": ?"([^"]+trace\.lsnx)"', json.dumps(answer))
    assert found, answer
    return found[1]


async def _fetch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bytes:
    """One answer over a connection that stays open. By hand, since clients cost more than the server otherwise."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert head.startswith("http/1.1 200"), f"{path}: {head}"
    length = re.search(r"content-length: (\d+)", head)
    assert length, f"{path}: {head}"
    return await reader.readexactly(int(length[1]))
