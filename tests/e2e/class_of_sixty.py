"""A class opens the page at once, and a third of it uploads pictures: how long everyone waits, and for what.

``python -m tests.e2e.class_of_sixty --json assets/benchmarks/class-cpu.json``, on a machine that does nothing else: the
class runs on the same machine as the server. It is no test: what is measured is written down, never asserted, except
that everyone is served.
"""

import argparse
import asyncio
import io
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from playwright.async_api import Page, async_playwright

from lsnet.tools.timing import machine
from tests.e2e.conftest import CHROMIUM, QUIET, free_port, running
from tests.e2e.crowd import Told, Visitor, events_of, payload_url, uploaded

READY = '.lsx[data-ready="true"]'
HOVERS = 60


async def open_in_browser(page: Page, url: str) -> list[str]:
    """Open the page in a real browser. Returns the paths that it fetched, up to its first picture's payload."""
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if request.method == "GET" else None)
    await page.goto(url)
    await page.wait_for_selector(READY)
    await page.locator("#plot-kernels .js-plotly-plot").wait_for()
    await page.wait_for_timeout(3000)  # until it has nothing more to ask for
    own = [address.removeprefix(url.rstrip("/")) for address in fetched if address.startswith(url)]
    needed = [path for path in own if path == "/" or path.startswith(("/assets/", "/static/", "/theme.css"))]
    payload = next(path for path in own if path.endswith("trace.lsnx"))
    scripts = [path for path in dict.fromkeys(needed) if path != "/" and "Plotly" not in path]
    return ["/", *scripts, payload]


async def hover(page: Page) -> dict[str, float]:
    """Move over the picture many times. Returns drawing times in milliseconds and the number of requests."""
    asked: list[str] = []
    note = lambda request: asked.append(request.url)  # noqa: E731
    page.on("request", note)
    crop = await page.evaluate("window.lsnetExplorer.boxes.crop")
    times = []
    for x, y in np.random.default_rng(0).uniform(0.05, 0.95, (HOVERS, 2)):
        pixel = {
            "x": int(crop["left"] + x * (crop["right"] - crop["left"])),
            "y": int(crop["top"] + y * (crop["bottom"] - crop["top"])),
        }
        place = await page.evaluate("(pixel) => window.lsnetExplorer.clientOf(pixel)", pixel)
        await page.mouse.move(place["x"], place["y"])
        await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        times.append(await page.evaluate("window.lsnetExplorer.drawMs"))
    page.remove_listener("request", note)
    return {"median_ms": statistics.median(times), "slowest_ms": max(times), "requests": len(asked)}


async def upload_together(visitors: list[Visitor], url: str, client: httpx.AsyncClient, seed: int) -> dict[str, Any]:
    """Everyone hands a picture of their own over, and waits for its analysis."""
    events = events_of((await client.get(f"{url}config")).json())
    pictures = [noise(seed + i) for i in range(len(visitors))]
    paths = await asyncio.gather(*(v.upload(p) for v, p in zip(visitors, pictures, strict=True)))
    start = asyncio.get_running_loop().time()
    waiting: list[asyncio.Task[Told]] = []
    for visitor, path in zip(visitors, paths, strict=True):
        await visitor.join(events.upload, uploaded(path, events.settings))
        waiting.append(asyncio.create_task(visitor.wait()))  # each listens before the next one joins, as browsers do
    all_told = await asyncio.gather(*waiting)
    elapsed = asyncio.get_running_loop().time() - start
    for told in all_told:
        (await client.get(payload_url(told.answer))).raise_for_status()
    order = sorted(range(len(visitors)), key=lambda i: all_told[i].done)
    return {
        "seconds": elapsed,
        "served_in_order": order == list(range(len(visitors))),
        "told_their_place": sum(bool(told.places) for told in all_told),
    }


def noise(seed: int) -> bytes:
    """A picture that nobody else has."""
    values = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).resize((1600, 1200), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def megabytes(pid: int) -> float:
    """Memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def visit(url: str, pid: int, clients: int, pictures: int, rounds: int) -> dict[str, Any]:
    """All that is measured, over some rounds of the same."""
    async with async_playwright() as playwright, httpx.AsyncClient(timeout=600, limits=httpx.Limits()) as client:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        paths = await open_in_browser(page, url)
        events = events_of((await client.get(f"{url}config")).json())
        results: dict[str, Any] = {"requests_each": len(paths), "hover_alone": await hover(page), "rounds": []}
        results["memory_mb_before"] = megabytes(pid)
        for number in range(rounds):
            visitors = [Visitor(url, client) for _ in range(clients)]
            opening = asyncio.gather(*(visitor.open(paths) for visitor in visitors))
            hovering, seconds = await asyncio.gather(hover(page), opening)
            arriving = asyncio.gather(*(visitor.arrive(events) for visitor in visitors))
            hovering_too, _ = await asyncio.gather(hover(page), arriving)
            uploads = await upload_together(visitors[:pictures], url, client, 1000 * number)
            results["rounds"].append(
                {
                    "opened_seconds": {"median": statistics.median(seconds), "slowest": max(seconds)},
                    "hover_while_they_open": hovering,
                    "hover_while_views_are_filled": hovering_too,
                    "uploads": uploads,
                    "memory_mb_after": megabytes(pid),
                }
            )
        await browser.close()
    return results


def main() -> None:
    """Measure, print, and write JSON where a path is given."""
    parser = argparse.ArgumentParser("python -m tests.e2e.class_of_sixty", description=main.__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--uploads", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--model", default="bundled")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    port = free_port()
    command = ["app.py", "--port", str(port), "--model", options.model]
    with tempfile.TemporaryDirectory() as folder, running(command, port, Path(folder) / "log") as process:
        url = f"http://127.0.0.1:{port}/"
        results = asyncio.run(visit(url, process.pid, options.clients, options.uploads, options.rounds))
    content = {
        "machine": machine() | {"cores": os.cpu_count(), "load_average_before": load},
        "clients": options.clients,
        "pictures": options.uploads,
        **results,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    print(text)
    if options.json:
        options.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
