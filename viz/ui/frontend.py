"""What every visitor's browser fetches first, made once and kept: the page, and Gradio's own scripts and styles."""

import asyncio
from collections.abc import Awaitable, MutableMapping
from functools import partial
from typing import Any

import brotli
from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

QUALITY = 6  # of brotli: the largest script takes a fifth of a second, once
SCRIPTS_KEPT = 1000  # more than Gradio has
PAGES_KEPT = 16  # one for each address that the page is reached by

# All that Gradio looks at to find out the address by which it is reached; the page names it.
_ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")

Kept = tuple[list[tuple[bytes, bytes]], bytes]  # headers and body


class KeptFrontend:
    """ASGI middleware that keeps answers which are the same for all.

    Gradio puts the page together, and reads and compresses its hundred scripts and styles, again for every request.
    When a class opens the page at once, its last pupil would wait for all the others' turns.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[tuple[str, ...], asyncio.Task[Kept | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope)
        answer = await asyncio.shield(self._task(key, scope)) if key else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        headers, body = answer
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _key(self, scope: Scope) -> tuple[str, ...] | None:
        """What an answer is kept under; None where it is not for all, or the browser cannot unpack it."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        headers, path = Headers(scope=scope), scope["path"]
        if "br" not in headers.get("accept-encoding", "") or "range" in headers:
            return None
        if path.startswith("/assets/"):
            return (path,)
        if path == "/" and "deep_link" not in QueryParams(scope["query_string"]):
            return (path, *(headers.get(name, "") for name in _ADDRESS))
        return None

    def _task(self, key: tuple[str, ...], scope: Scope) -> Awaitable[Kept | None]:
        task = self._kept.get(key)
        if task is None:
            pages = sum(1 for kept in self._kept if kept[0] == "/")
            if len(self._kept) >= SCRIPTS_KEPT or pages >= PAGES_KEPT:
                self._kept.clear()
            task = self._kept[key] = asyncio.create_task(self._fetch(scope))
            task.add_done_callback(partial(self._drop_failed, key))
        return task

    def _drop_failed(self, key: tuple[str, ...], task: asyncio.Task[Kept | None]) -> None:
        if task.cancelled() or task.exception() or task.result() is None:
            self._kept.pop(key, None)

    async def _fetch(self, scope: Scope) -> Kept | None:
        """The application's own answer, compressed; None where it is not a plain success."""
        status, headers, parts = 0, Headers(), []
        body = iter([b""])

        async def receive() -> Message:
            for part in body:
                return {"type": "http.request", "body": part, "more_body": False}
            return await asyncio.Future()  # a browser that stays

        async def take(message: MutableMapping[str, Any]) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], Headers(raw=message["headers"])
            else:
                parts.append(message.get("body", b""))

        await self._app({**scope, "extensions": {}}, receive, take)
        if status != 200 or "content-encoding" in headers:
            return None
        packed = await asyncio.to_thread(brotli.compress, b"".join(parts), quality=QUALITY)
        # The names of scripts and styles hold a digest of what is in them.
        lasting = scope["path"] != "/"
        answer = {
            "content-type": headers.get("content-type", "application/octet-stream"),
            "content-encoding": "br",
            "content-length": str(len(packed)),
            "vary": "Accept-Encoding",
            "cache-control": "public, max-age=31536000, immutable" if lasting else "no-cache",
        }
        return [(name.encode(), value.encode()) for name, value in answer.items()], packed
