"""How fast the page is, as a visitor feels it, in a real browser.

``python -m tests.e2e.page_speed --json assets/benchmarks/page-cpu.json``, on a machine that does nothing else. It is no
test: what is measured is written down, never asserted.
"""

import argparse
import json
import statistics
import struct
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from lsnet.tools.timing import Timing, machine
from tests.e2e.conftest import CHROMIUM, QUIET, serving
from tests.e2e.hand import explorer, hover

HOVERS = 100
READY = '.lsx[data-ready="true"]'


def opening(browser: Browser, url: str) -> float:
    """Milliseconds from asking for the page, with an empty cache, until kernels follow the mouse."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(READY)
    elapsed = 1e3 * (time.perf_counter() - start)
    context.close()
    return elapsed


def uploads(browser: Browser, url: str, photos: Sequence[Path]) -> list[tuple[float, float]]:
    """Milliseconds from handing over a photo until its kernels follow the mouse, and of these the forward pass."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector(READY)
    page.wait_for_timeout(3000)
    measured = []
    for photo in photos:  # a browser hands the same file over once only
        start = time.perf_counter()
        with page.expect_response(lambda response: "trace.lsnx" in response.url) as response:
            page.locator("#upload input[type=file], input[type=file]").first.set_input_files(photo)
        page.wait_for_function("!document.querySelector('.lsx').dataset.busy")
        elapsed = 1e3 * (time.perf_counter() - start)
        measured.append((elapsed, 1e3 * _header(response.value.body())["seconds"]))
        page.wait_for_timeout(2000)  # until the open view is filled too
    page.close()
    return measured


def redraws(browser: Browser, url: str, size: int) -> list[float]:
    """Milliseconds that the inspector draws for, after each of many moves over the picture."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector(READY)
    if size != 224:
        page.locator("#more button").first.click()
        with page.expect_response(lambda response: "trace.lsnx" in response.url):
            page.locator("#size").get_by_text(str(size)).click()
        page.wait_for_function("!document.querySelector('.lsx').dataset.busy")
    page.wait_for_timeout(5000)
    crop = explorer(page, "boxes.crop")
    generator = np.random.default_rng(0)
    times = []
    for x, y in generator.uniform(0.05, 0.95, (HOVERS, 2)):
        left, top, right, bottom = (crop[side] for side in ("left", "top", "right", "bottom"))
        hover(page, int(left + x * (right - left)), int(top + y * (bottom - top)))
        times.append(explorer(page, "drawMs"))
    page.close()
    return times


def _header(payload: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<I", payload, 8)
    return json.loads(payload[16 : 16 + length])


def _timing(case: str, name: str, runs: list[float]) -> Timing:
    low, median, high = statistics.quantiles(runs, n=4)
    return Timing(case, name, median, low, high, 1.0, name)


def main() -> None:
    """Measure, print, and write JSON where a path is given."""
    parser = argparse.ArgumentParser("python -m tests.e2e.page_speed", description=main.__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    timings = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        photos = [folder / f"photo{number}.jpg" for number in range(options.rounds)]
        for number, photo in enumerate(photos):
            noise = np.random.default_rng(number).integers(0, 255, (96, 128, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC).save(photo)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        with serving(folder / "bundled.log", "bundled") as url:
            times = [opening(browser, url) for _ in range(options.rounds)]
            timings.append(_timing("bundled", "from opening to usable", times))
            pairs = uploads(browser, url, photos)
            timings.append(_timing("bundled", "from upload to live kernels", [total for total, _ in pairs]))
            rest = [total - forward for total, forward in pairs]
            timings.append(_timing("bundled", "from upload to live kernels, without the forward pass", rest))
        with serving(folder / "b.log", "untrained/lsnet_b") as url:
            for size in (224, 448):
                times = redraws(browser, url, size)
                timings.append(_timing(f"lsnet_b at {size}", "redraw after a move", times))
        browser.close()
    for timing in timings:
        print(
            f"{timing.case:16} {timing.name:53} {timing.median_ms:8.1f} ms ({timing.low_ms:.1f}…{timing.high_ms:.1f})"
        )
    if options.json:
        content = {"machine": machine(), "timings": [asdict(timing) for timing in timings]}
        options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
