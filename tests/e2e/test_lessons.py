"""The lessons in a real browser: every step of every lesson shows what it talks about."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

import lsnet
from tests.e2e.conftest import serving
from tests.e2e.hand import brackets_grow, explorer, hover
from viz.capture import trace_image
from viz.examples import examples
from viz.lesson_file import LOOKS, State, Step
from viz.lesson_html import render
from viz.lessons import find_step, lessons
from viz.quantities import filled
from viz.texts import LANGUAGES, entries
from viz.trace import ForwardTrace
from viz.views import VIEWS
from viz.views.settings import Choice

pytestmark = pytest.mark.browser
Visit = Callable[..., Any]

TEXT_OF = "(html) => { const div = document.createElement('div'); div.innerHTML = html; return div.textContent; }"


@pytest.fixture(scope="module")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with the bundled weights, which the lessons are about."""
    with serving(tmp_path_factory.mktemp("app") / "log", "bundled", "--device", "cpu", "--threads", "1") as url:
        yield url


@cache
def trace_of(photo: str) -> ForwardTrace:
    predictor = lsnet.load_predictor("bundled", device="cpu")
    return trace_image(predictor, next(example for example in examples() if example.id == photo).path)


def part(page: Any, name: str) -> Any:
    return page.locator(f'#lesson-drawer [data-part="{name}"]')


def tour(page: Any) -> Any:
    return page.locator('[data-part="tour"]')


def open_list(page: Any) -> None:
    page.locator('#lessons [data-part="open"]').click()
    part(page, "lessons").locator(".lsl-lesson").first.wait_for()


def arrived(page: Any, state: State) -> None:
    """Until the inspector is at a state's picture and place."""
    x, y = state.px
    page.wait_for_function(
        """([img, block, x, y, view]) => {
          const { example, block: here, pixel, view: colouring } = window.lsnetExplorer;
          return example === img && here === block && pixel.x === x && pixel.y === y && colouring === view;
        }""",
        arg=[state.img, state.block, x, y, state.view or "none"],
    )


def check_state(page: Any, state: State, language: str) -> None:
    """Picture, network, block, pixel, colouring, open view and its settings."""
    arrived(page, state)
    assert explorer(page, "model") == "bundled/lsnet_t"
    assert explorer(page, "pins") == []
    assert explorer(page, "lang") == language
    view = next(view for view in VIEWS if view.name == (state.tab or VIEWS[0].name))
    page.locator(f'#tab-{view.name}-button[aria-selected="true"]').wait_for(state="attached")
    for setting in view.settings:
        if setting.name in state.settings:
            value, label = state.settings[setting.name], f"view.{view.name}.set.{setting.name}"
            option = f"{label}.{value}" if isinstance(setting, Choice) else label
            check_control(page.locator(f"#tab-{view.name}"), entries(language)[label], entries(language)[option], value)


def check_control(tab: Any, label: str, option: str, value: object) -> None:
    """A button that is pressed, or a menu that says so, once the tab that holds it is drawn."""
    button = tab.get_by_label(option, exact=True).and_(tab.page.locator("input:is([type=radio], [type=checkbox])"))
    menu = tab.get_by_label(label, exact=True).and_(tab.page.locator("input"))
    button.or_(menu).first.wait_for(state="attached")
    if button.count():
        tab.page.wait_for_function("(node) => node.checked", arg=button.first.element_handle())
        assert value is not False
        return
    tab.page.wait_for_function("([node, text]) => node.value === text", arg=[menu.first.element_handle(), option])


def check_texts(page: Any, step: Step) -> None:
    """Title and texts, with the numbers that the model computes at the step's place."""
    assert part(page, "title").inner_text() == step.title
    page.wait_for_function("document.querySelector('#lesson-drawer [data-part=step]').ariaBusy === 'false'")
    trace = trace_of(step.state.img)
    texts = {"text": step.text, "try": step.try_this, "question": step.question, "answer": step.answer}
    for name, text in texts.items():
        expected = page.evaluate(TEXT_OF, render(filled(text, trace, step.state))) if text else ""
        assert part(page, name).evaluate("(node) => node.textContent") == expected
        assert "{{" not in expected


@pytest.mark.parametrize("number", range(1, 7))
def test_every_step_shows_what_it_talks_about(visit: Visit, number: int) -> None:
    """Through a lesson by Next, in another language at each step; on the way, the visitor wanders off and back."""
    language, other = LANGUAGES
    page = visit(f"?lang={language}")
    open_list(page)
    part(page, "lessons").locator(".lsl-lesson").nth(number - 1).click()
    slug, names = lessons(language)[number - 1].slug, [step.name for step in lessons(language)[number - 1].steps]
    for index, name in enumerate(names):
        step = lessons(language)[number - 1].steps[index]
        check_state(page, step.state, language)
        check_texts(page, step)
        assert f"lesson={slug}&step={name}" in page.url
        language, other = other, language
        page.locator('[data-part="language"]').click()
        check_texts(page, lessons(language)[number - 1].steps[index])
        if index == 1:
            page.locator('[data-part="picture-upper"]').focus()
            page.keyboard.press("]")
            page.wait_for_function(f"window.lsnetExplorer.block !== {step.state.block!r}")
            part(page, "show").click()
            check_state(page, step.state, language)
        if index + 1 < len(names):
            part(page, "next").click()
    beyond = "allLessons" if number == 6 else "nextLesson"
    assert part(page, "next").inner_text() == entries(language)[f"lessons.{beyond}"]
    assert page.get_by_text(entries(language)["error.internal"]).count() == 0


@pytest.mark.parametrize(("lesson", "step"), [("3", "global"), ("how-large-is-large", "the-kernels-themselves")])
def test_a_lecturers_link_opens_the_step_with_its_state(visit: Visit, lesson: str, step: str) -> None:
    page = visit(f"?lesson={lesson}&step={step}&lang=zh-CN", locale="en-US")
    found = next(one for every in lessons("zh-CN") for one in every.steps if one.name == step)
    check_state(page, found.state, "zh-CN")
    check_texts(page, found)
    assert tour(page).is_hidden()
    page.locator(f"#plot-{found.state.tab} .js-plotly-plot .main-svg").first.wait_for()
    place = "blocks4.3" if step == "global" else "blocks2.3"
    page.wait_for_function(
        "([view, block]) => document.querySelector(`#plot-${view}`).innerText.includes(block)",
        arg=[found.state.tab, place],
    )


def test_a_link_that_is_copied_opens_the_same_step(visit: Visit) -> None:
    page = visit("?lesson=1&step=two-boxes", permissions=["clipboard-read", "clipboard-write"])
    part(page, "copy-link").click()
    page.wait_for_function("document.querySelector('[data-part=copy-link] span').textContent === 'Copied'")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("/?lesson=1&step=two-boxes&lang=en")
    check_state(visit(link[link.index("?") :]), lessons("en")[0].steps[3].state, "en")


@pytest.mark.parametrize("query", ["?lesson=99", "?lesson=1&step=nothing", "?lesson=%3Cscript%3E&step=x"])
def test_a_link_to_nothing_opens_the_page_as_usual(visit: Visit, query: str) -> None:
    page = visit(query)
    if "lesson=1" in query:
        arrived(page, lessons("en")[0].steps[0].state)
    else:
        assert part(page, "drawer").count() == 0
        assert page.locator("#lesson-drawer").is_hidden()
        assert explorer(page, "example") == examples()[0].id


def test_the_tour_is_the_first_lesson_and_a_refusal_is_remembered(visit: Visit) -> None:
    page = visit()
    tour(page).wait_for()
    inspector = page.locator("#inspector").bounding_box()
    card = tour(page).bounding_box()
    assert card["y"] + card["height"] <= inspector["y"]  # it covers nothing of it
    page.locator('[data-part="tour-skip"]').click()
    again = page.context.new_page()
    again.goto(page.url)
    again.wait_for_selector('.lsx[data-ready="true"]')
    assert tour(again).is_hidden()
    assert again.locator("#lesson-drawer").is_hidden()

    other = visit()
    other.locator('[data-part="tour-start"]').click()
    check_state(other, lessons("en")[0].steps[0].state, "en")


@pytest.mark.parametrize("query", ["?img=cat", "?tab=cost", "?block=blocks3.3"])
def test_no_tour_where_a_link_asks_for_something(visit: Visit, query: str) -> None:
    assert tour(visit(query)).is_hidden()


def test_progress_survives_the_page_and_can_be_cleared(visit: Visit) -> None:
    def later(before: Any) -> Any:
        """The same browser comes back."""
        page = before.context.new_page()
        page.goto(before.url.split("?")[0])
        page.wait_for_selector('.lsx[data-ready="true"]')
        open_list(page)
        return page

    page = visit("?lesson=2&step=nine-inputs")
    part(page, "next").click()
    arrived(page, lessons("en")[1].steps[1].state)
    page = later(page)
    second = part(page, "lessons").locator(".lsl-lesson").nth(1)
    assert "2 of 7" in second.inner_text()
    second.click()  # goes on where one has left off
    assert part(page, "title").inner_text() == lessons("en")[1].steps[2].title
    part(page, "to-list").click()
    assert "3 of 7" in part(page, "lessons").inner_text()
    part(page, "clear").click()
    for again in (page, later(page)):
        assert "of 7" not in part(again, "lessons").inner_text()


def test_keys_walk_in_the_drawer_and_a_clicker_anywhere_while_presenting(visit: Visit) -> None:
    steps = lessons("en")[0].steps
    page = visit("?lesson=1&step=the-idea")
    arrived(page, steps[1].state)
    page.locator('[data-part="picture-upper"]').focus()
    for key in ("PageDown", "ArrowRight"):  # the page's and the inspector's own
        page.keyboard.press(key)
        assert part(page, "title").inner_text() == steps[1].title
    part(page, "step").focus()
    page.keyboard.press("ArrowRight")
    assert part(page, "title").inner_text() == steps[2].title


def test_a_clicker_turns_the_pages_of_a_step_and_then_to_the_next(visit: Visit) -> None:
    """From the photo, where a lecturer's mouse is: the rest of the text, the answer, the next step, and back."""
    steps = lessons("en")[0].steps
    page = visit("?lesson=1&step=tokens", reduced_motion="reduce")
    arrived(page, steps[2].state)
    page.locator('#lesson-drawer [data-part="present"]').click()
    page.locator(".lsx-presenting").wait_for()
    assert part(page, "step").evaluate("(node) => node === document.activeElement")  # arrows walk through the lesson
    size = part(page, "text").evaluate("(node) => parseFloat(getComputedStyle(node).fontSize)")
    assert size >= 18
    page.locator('[data-part="picture-upper"]').focus()
    for _ in range(6):
        if part(page, "answer").is_visible():
            break
        assert part(page, "title").inner_text() == steps[2].title
        page.keyboard.press("PageDown")
    assert part(page, "answer").is_visible()
    question, view = part(page, "question-box").bounding_box(), part(page, "step").bounding_box()
    assert view["y"] <= question["y"] < view["y"] + view["height"]
    for _ in range(4):
        page.keyboard.press("PageDown")
        if part(page, "title").inner_text() != steps[2].title:
            break
    assert part(page, "title").inner_text() == steps[3].title
    assert not part(page, "answer").is_visible()
    arrived(page, steps[3].state)
    part(page, "step").focus()
    page.keyboard.press("ArrowLeft")
    arrived(page, steps[2].state)
    page.locator(".lsx-presenting").wait_for()


LOOKED_AT = {
    "picture": ("1", "two-boxes", '#inspector [data-part="picture-frame"]'),
    "kernels": ("1", "own-kernels", '#inspector [data-part="wall-panel"]'),
    "equation": ("2", "multiply-and-add", '#inspector [data-part="equation-inputs"]'),
    "ways": ("3", "one-question", '#inspector [data-part="way-ls-map"]'),
    "figure": ("3", "global", "#plot-attention .js-plotly-plot .main-svg"),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("projected", [False, True], ids=["phone", "projected"])
def test_what_a_step_is_about_is_in_sight(visit: Visit, look: str, projected: bool) -> None:
    """Above the sheet of a phone; and on a small projector, where the lesson stands beside it."""
    lesson, step, selector = LOOKED_AT[look]
    found = find_step(lesson, step)
    assert found
    assert found[1].look == look
    phone: dict[str, Any] = {"has_touch": True, "is_mobile": True}
    width, height, options = (1280, 720, {}) if projected else (390, 844, phone)
    page = visit(f"?lesson={lesson}&step={step}", width=width, height=height, reduced_motion="reduce", **options)
    arrived(page, found[1].state)
    if projected:
        page.locator('#lesson-drawer [data-part="present"]').click()
    page.locator(selector).first.wait_for()
    page.wait_for_function(
        """([selector, most]) => {
          const { top, height, bottom } = document.querySelector(selector).getBoundingClientRect();
          const sheet = document.querySelector("#lesson-drawer").getBoundingClientRect().top;
          const end = sheet > 0 ? sheet : innerHeight;
          return height > 0 && top >= 0 && Math.min(end, bottom) - top >= Math.min(height, most * end) - 1;
        }""",
        arg=[selector, 0.62 if look == "figure" else 0.95],
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_a_step_asks_to_try_can_be_tried_while_it_is_projected(visit: Visit) -> None:
    page = visit("?lesson=1&step=tokens")
    state = lessons("en")[0].steps[2].state
    arrived(page, state)
    page.locator('#lesson-drawer [data-part="present"]').click()
    page.locator('[data-part="grid"]').check()
    part(page, "step").focus()
    page.keyboard.press("]")  # from the text that says so
    page.wait_for_function("window.lsnetExplorer.block !== 'blocks2.3'")


def test_formulas_have_their_font(visit: Visit) -> None:
    brackets_grow(visit("?lesson=2&step=nine-weights"))


def test_a_figure_is_projected_beside_its_text(visit: Visit) -> None:
    page = visit("?lesson=6&step=the-whole-network")
    page.locator("#plot-cost .main-svg").first.wait_for()
    page.locator('#lesson-drawer [data-part="present"]').click()
    page.wait_for_function("getComputedStyle(document.querySelector('#views')).position === 'fixed'")
    figure, drawer = page.locator("#views").bounding_box(), page.locator("#lesson-drawer").bounding_box()
    assert (figure["x"], figure["y"]) == (0, 0)
    assert figure["x"] + figure["width"] <= drawer["x"] + 1
    # Magnified as a whole, and what is said of it stands below it.
    page.wait_for_function(
        """() => {
          const plot = document.querySelector("#plot-cost .js-plotly-plot");
          const { width, bottom } = plot.getBoundingClientRect();
          const told = document.querySelector("#told-cost").getBoundingClientRect();
          return Math.abs(width / plot._fullLayout.width - 1.2) < 0.01 && told.top >= bottom - 1;
        }"""
    )
    part(page, "look-picture").click()
    page.wait_for_function("getComputedStyle(document.querySelector('#views')).position !== 'fixed'")


@pytest.mark.parametrize("query", ["?lesson=1&step=two-boxes", "?lesson=4&step=what-is-used&__theme=dark"])
def test_text_and_picture_fit_beside_each_other(visit: Visit, query: str) -> None:
    page = visit(query, width=1280)
    part(page, "title").wait_for()
    drawer, picture = page.locator("#lesson-drawer").bounding_box(), page.locator(".lsx-picture").bounding_box()
    assert picture["x"] + picture["width"] <= drawer["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("language", LANGUAGES)
def test_on_a_phone_the_drawer_is_a_sheet_that_folds(visit: Visit, language: str) -> None:
    page = visit(f"?lesson=2&step=multiply-and-add&lang={language}", width=390, height=844)
    part(page, "title").wait_for()
    sheet = page.locator("#lesson-drawer").bounding_box()
    assert sheet["height"] <= 0.46 * 844
    assert sheet["y"] + sheet["height"] == pytest.approx(844, abs=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    part(page, "fold").click()
    assert page.locator("#lesson-drawer").bounding_box()["height"] < 80
    part(page, "fold").click()
    part(page, "next").click()
    arrived(page, lessons(language)[1].steps[3].state)


def test_the_drawer_speaks_the_language_of_the_page(visit: Visit) -> None:
    page = visit("?lesson=1&step=the-idea")
    page.wait_for_function("document.querySelector('#lesson-drawer [data-part=step]').ariaBusy === 'false'")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "component_server" in request.url else None)
    page.locator('[data-part="language"]').click()
    assert part(page, "title").inner_text() == lessons("zh-CN")[0].steps[1].title
    assert re.search("[一-鿿]", part(page, "text").inner_text())
    assert requests == []


def test_a_worksheet_opens_in_a_tab_of_its_own(visit: Visit) -> None:
    page = visit()
    open_list(page)
    with page.expect_popup() as popup:
        part(page, "lessons").locator(".lsl-link").nth(1).click()
    sheet = popup.value
    sheet.wait_for_selector("math")
    assert lessons("en")[1].title in sheet.inner_text("body")


def test_a_visitor_is_free_to_look_around_between_steps(visit: Visit) -> None:
    """What a step shows does not hold the visitor: the views follow the pixel that is pinned next."""
    state = lessons("en")[0].steps[1].state
    page = visit("?lesson=1&step=the-idea")
    arrived(page, state)
    hover(page, 365, 275)
    page.mouse.down()
    page.mouse.up()
    trace = trace_of(state.img)
    row, column = trace.geometry.pixel_to_token(365, 275, trace.blocks[state.block])
    page.wait_for_function(
        "(place) => document.querySelector('#plot-kernels')?.innerText.includes(place)",
        arg=f"row {row}, column {column}",
    )


def test_a_lesson_is_walked_by_the_keyboard_alone(visit: Visit) -> None:
    page = visit("?lang=en")
    page.locator('#lessons [data-part="open"]').focus()
    page.keyboard.press("Enter")
    part(page, "lessons").locator(".lsl-lesson").nth(1).focus()
    page.keyboard.press("Enter")
    steps = lessons("en")[1].steps
    arrived(page, steps[0].state)
    page.keyboard.press("ArrowRight")
    arrived(page, steps[1].state)
    part(page, "back").focus()
    page.keyboard.press("Enter")
    arrived(page, steps[0].state)
    assert part(page, "back").get_attribute("aria-disabled") == "true"
    assert part(page, "back").evaluate("(node) => node === document.activeElement")
