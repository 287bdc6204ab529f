"""Handlers of one visitor that run at the same time do not undo each other."""

import gc
from copy import deepcopy
from dataclasses import replace

import gradio as gr
from gradio.state_holder import StateHolder

from viz.ui.visit import Visit, Visiting

START = Visit("key", "blocks2.1", (10, 20))


def test_only_what_a_handler_changed_is_taken_over() -> None:
    visiting = Visiting(START)
    before = visiting.now  # a slow handler begins …
    visiting.change(visiting.now, replace(visiting.now, language="zh-CN"))  # … and another one is done before it
    visiting.change(before, replace(before, key="another", outdated=("key",)))
    assert visiting.now == replace(START, key="another", outdated=("key",), language="zh-CN")


def test_what_was_shown_in_the_meantime_is_not_forgotten() -> None:
    visiting = Visiting(START)
    before = visiting.now  # a photo is chosen …
    visiting.change(
        before, replace(before, key="frame", outdated=("key",))
    )  # … while the camera still brings a picture
    visiting.change(before, replace(before, key="photo", outdated=("key",)))
    assert (visiting.now.key, visiting.now.outdated) == ("photo", ("key", "frame"))


def test_of_two_changes_of_the_same_thing_the_later_one_holds() -> None:
    visiting = Visiting(START)
    before = visiting.now
    visiting.change(before, replace(before, pixel=(1, 1)))
    visiting.change(before, replace(before, pixel=(2, 2)))
    assert visiting.now.pixel == (2, 2)


def test_another_analysis_brings_its_place_along() -> None:
    visiting = Visiting(START)
    before = visiting.now  # a picture is on its way …
    visiting.change(
        before, replace(before, block="blocks3.1", pixel=(1, 1))
    )  # … while a place is chosen in the old one
    visiting.change(before, replace(before, key="another"))
    assert visiting.now == replace(START, key="another")


def test_a_request_knows_whether_a_later_one_has_come() -> None:
    visiting = Visiting(START)
    first = visiting.take_turn()
    assert visiting.turn == first
    assert visiting.take_turn() == visiting.turn != first


def test_every_session_begins_with_a_visit_of_its_own() -> None:
    first = Visiting(START)
    second = deepcopy(first)  # what Gradio does
    second.change(second.now, replace(second.now, language="zh-CN"))
    assert first.now.language == "en"


def test_a_visit_that_nobody_holds_is_over() -> None:
    left: list[Visit] = []
    first = Visiting(START, left.append)
    second = deepcopy(first)
    second.change(second.now, replace(second.now, key="another"))
    deepcopy(second)  # whatever for: the visit goes on
    assert left == []
    del second
    assert [visit.key for visit in left] == ["another"]
    del first  # has never gone anywhere: what a visit begins with belongs to all
    assert [visit.key for visit in left] == ["another"]


def test_a_visit_is_over_when_gradio_drops_it_for_others_without_a_word() -> None:
    left: list[Visit] = []
    with gr.Blocks() as blocks:
        state = gr.State(Visiting(START, left.append))
    blocks.state_session_capacity = 2
    holder = StateHolder()
    holder.set_blocks(blocks)
    for number in range(4):
        visiting = holder[f"visitor {number}"][state._id]
        visiting.change(visiting.now, replace(visiting.now, key=f"picture {number}"))
        del visiting
    gc.collect()
    assert [visit.key for visit in left] == ["picture 0", "picture 1"]
