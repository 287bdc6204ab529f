"""Where links and steps of lessons lead."""

from dataclasses import replace

import pytest

from viz.examples import examples
from viz.lessons import find_step, lessons
from viz.ui.config import AppConfig
from viz.ui.places import follow_link, open_example, visit_at
from viz.ui.service import Explorer

MODEL = "untrained/lsnet_n"


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(AppConfig(device="cpu", model=MODEL, threads=1))


def test_a_link_leads_to_its_picture_block_and_pixel(explorer: Explorer) -> None:
    opening = open_example(explorer, examples()[0], MODEL)
    last = list(explorer.analysis(opening.key).trace.blocks)[-1]
    visit = follow_link(explorer, opening, {"img": "cat", "block": last, "px": "172,110"})
    analysis = explorer.analysis(visit.key)
    assert analysis.example is not None
    assert (analysis.example.id, visit.block, visit.pixel) == ("cat", last, (172, 110))


def test_what_a_link_leaves_open_is_as_the_page_opens(explorer: Explorer) -> None:
    opening = open_example(explorer, examples()[0], MODEL)
    assert follow_link(explorer, opening, {}) == opening
    pinned = replace(opening, pixel=(5, 6))  # while the page was on its way
    assert follow_link(explorer, pinned, {"lang": "en"}) == pinned
    other = follow_link(explorer, opening, {"img": "cat", "block": "no such block", "px": "1;2"})
    assert (other.block, other.pixel) == (opening.block, next(e for e in examples() if e.id == "cat").focus[0])


def test_a_pixel_belongs_to_its_picture(explorer: Explorer) -> None:
    opening = open_example(explorer, examples()[0], MODEL)
    assert follow_link(explorer, opening, {"img": "no such photo", "px": "7,8"}).pixel == opening.pixel


@pytest.mark.parametrize("px", ["0,0", "99999,99999", "0,99999"])
def test_a_pixel_that_is_cropped_away_becomes_the_nearest_one_that_is_seen(explorer: Explorer, px: str) -> None:
    opening = open_example(explorer, examples()[0], MODEL)
    visit = follow_link(explorer, opening, {"img": examples()[0].id, "px": px})
    trace = explorer.analysis(visit.key).trace
    rows, columns = trace.blocks[visit.block].grid
    token = trace.geometry.pixel_to_token(*visit.pixel, trace.blocks[visit.block])
    x, y = (int(number) for number in px.split(","))
    assert token == (rows - 1 if y else 0, columns - 1 if x else 0)


def test_weights_that_are_not_offered_are_those_that_the_page_opens_with(explorer: Explorer) -> None:
    opening = open_example(explorer, examples()[0], MODEL)
    visit = follow_link(explorer, opening, {"img": "cat", "model": "/etc/passwd"})
    assert explorer.analysis(visit.key).source == MODEL


def test_a_place_in_the_middle_for_a_strangers_picture(explorer: Explorer) -> None:
    key = explorer.analyse(examples()[0].path, MODEL, 96, "crop")  # as if it were not ours
    width, height = explorer.analysis(key).trace.geometry.frame.picture
    x, y = visit_at(explorer, key).pixel
    assert abs(x - width / 2) <= 0.01 * width  # the crop is centred in whole pixels of the smaller picture
    assert abs(y - height / 2) <= 0.01 * height


def test_a_step_is_found_by_number_and_by_name() -> None:
    lesson = lessons("zh-CN")[2]
    assert find_step("3", lesson.steps[4].name, "zh-CN") == (lesson, lesson.steps[4])
    assert find_step(lesson.slug, None, "zh-CN") == (lesson, lesson.steps[0])
    assert find_step(lesson.slug, "no such step", "zh-CN") == (lesson, lesson.steps[0])
    assert find_step("7") is find_step("") is None
