"""Several visitors at once: served in order, told their place, and strangers to each other."""

import asyncio
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.e2e.crowd import Events, Told, Visitor, events_of, payload_url, uploaded
from viz.texts import entries

pytestmark = pytest.mark.browser
SIZE = 448  # large enough that a line forms


def picture(seed: int) -> bytes:
    """A picture that nobody else has."""
    values = np.random.default_rng(seed).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


async def together(url: str, seeds: range, standing: threading.Event | None = None) -> list[Told]:
    """One visitor for each seed hands a picture over, in this order; all wait. ``standing`` is set when all do."""
    async with httpx.AsyncClient(timeout=600) as client:
        events = events_of((await client.get(f"{url}config")).json())
        visitors = [Visitor(url, client) for _ in seeds]
        waiting: list[asyncio.Task[Told]] = []
        # All uploads first: on a busy machine they may take as long as what is waited for.
        paths = [await visitor.upload(picture(seed)) for visitor, seed in zip(visitors, seeds, strict=True)]
        for visitor, path in zip(visitors, paths, strict=True):
            await visitor.join(events.upload, uploaded(path, at_size(events)))
            waiting.append(asyncio.create_task(visitor.wait()))  # each listens before the next one joins
        if standing:
            standing.set()
        return await asyncio.gather(*waiting)


def at_size(events: Events) -> tuple[Any, ...]:
    model, _, mode = events.settings
    return model, SIZE, mode


def test_pictures_are_served_in_order_and_everyone_is_told_their_place(app_url: str) -> None:
    with ThreadPoolExecutor(1) as elsewhere:  # the browser has a loop of its own running here
        all_told = elsewhere.submit(lambda: asyncio.run(together(app_url, range(6)))).result()
    assert [told.done for told in all_told] == sorted(told.done for told in all_told)
    waited = [told.places for told in all_told if told.places]
    assert len(waited) >= 4  # those who came first were at the front at once
    for places in waited:
        assert [place for place, _ in places] == sorted((place for place, _ in places), reverse=True)
        assert all(1 <= place <= size for place, size in places)
    addresses = {payload_url(told.answer) for told in all_told}
    assert len(addresses) == len(all_told)  # nobody is shown another's


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_page_shows_the_place_in_the_visitors_language(
    visit: Callable[..., Any], app_url: str, tmp_path: Path, language: str
) -> None:
    page = visit(f"?lang={language}")
    page.get_by_text(entries(language)["input.upload"]).first.wait_for()
    page.evaluate(
        """() => {
          const line = document.querySelector('[data-part="waiting"]');
          window.told = [];
          new MutationObserver(() => window.told.push(line.hidden ? "" : line.textContent))
            .observe(line, { childList: true, characterData: true, subtree: true, attributes: true });
        }"""
    )
    (tmp_path / "mine.png").write_bytes(picture(99))

    standing = threading.Event()
    crowd = threading.Thread(target=lambda: asyncio.run(together(app_url, range(100, 112), standing)))
    crowd.start()
    standing.wait()
    page.locator("#upload input[type=file], input[type=file]").first.set_input_files(str(tmp_path / "mine.png"))
    page.wait_for_function("window.told.some((text) => /\\d/.test(text))")
    crowd.join()
    page.wait_for_function("window.lsnetExplorer.example === null")
    start = entries(language)["inspector.queue.place"].split("{")[0]
    told = page.evaluate("window.told")
    assert any(text.startswith(start) for text in told), told
    page.locator('[data-part="waiting"]').wait_for(state="hidden")
