"""What axe-core, a checker that browsers' own tools build on, finds wrong for visitors who see or hear otherwise."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.hand import hover
from viz.lessons import lessons

pytestmark = pytest.mark.browser
Visit = Callable[..., Any]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


def violations(page: Any) -> list[str]:
    """One line for each rule that is broken, with the first piece of the page that breaks it.

    To be asked once the open view shows its figure: what Gradio puts in its place until then breaks a rule of its own.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{one['id']}: {one['help']} ({len(one['nodes'])} times, {one['nodes'][0]['html'][:120]})" for one in found]


@pytest.mark.parametrize(
    ("query", "width"),
    [
        ("?lang=en", 1280),
        ("?lang=zh-CN&__theme=dark&tab=comparison", 1280),
        ("?lang=en&lesson=2&step=nine-weights", 390),
        ("?lang=zh-CN&__theme=dark&lesson=3&step=side-by-side", 1280),
        ("?lang=en&block=blocks4.1&tab=attention", 1280),
    ],
)
def test_axe_finds_nothing_wrong_with_the_page(visit: Visit, query: str, width: int) -> None:
    page = visit(query, width=width)
    page.locator("#views .js-plotly-plot .main-svg").first.wait_for()
    if "lesson" in query:
        page.wait_for_function("document.querySelector('#lesson-drawer [data-part=step]').ariaBusy === 'false'")
    assert violations(page) == []


def test_nor_with_two_pins_and_their_comparison(visit: Visit) -> None:
    page = visit("?img=cat&lang=en")
    for x, y in ((172, 110), (259, 238)):
        hover(page, x, y)
        page.mouse.down()
        page.mouse.up()
    page.locator("#views .js-plotly-plot .main-svg").first.wait_for()
    page.locator("[data-part=compare]").wait_for()
    assert violations(page) == []


def test_nor_with_the_list_of_lessons_and_a_projected_step(visit: Visit) -> None:
    page = visit("?lang=en")
    page.locator("#views .js-plotly-plot .main-svg").first.wait_for()
    page.locator('#lessons [data-part="open"]').click()
    page.locator("#lesson-drawer .lsl-lesson").nth(len(lessons("en")) - 1).wait_for()
    assert violations(page) == []
    page.locator("#lesson-drawer .lsl-lesson").first.click()
    page.wait_for_function("document.querySelector('#lesson-drawer [data-part=step]').ariaBusy === 'false'")
    page.locator('#lesson-drawer [data-part="present"]').click()
    page.locator(".lsx-presenting").wait_for()
    assert violations(page) == []
