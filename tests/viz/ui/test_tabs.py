"""What a view's tab is told while it is filled."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from viz.examples import examples
from viz.texts import texts_in
from viz.ui.config import AppConfig
from viz.ui.localize import Localizer
from viz.ui.places import open_example
from viz.ui.service import Explorer
from viz.ui.tabs import ViewTabs
from viz.ui.visit import Visiting
from viz.views import VIEWS, View

MODEL = "untrained/lsnet_n"
REQUEST: Any = SimpleNamespace(session_hash="someone")


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(AppConfig(device="cpu", model=MODEL, threads=1))


def built(explorer: Explorer) -> ViewTabs:
    with gr.Blocks():
        return ViewTabs(explorer, Localizer(), texts_in("en"))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_last_answer_holds_all_that_came_before(explorer: Explorer, view: View) -> None:
    """A browser that lags behind finds nothing but the last one: Gradio's client changes the others in place."""
    tabs = built(explorer)
    visiting = Visiting(replace(open_example(explorer, examples()[0], MODEL), arrived=True))
    told: dict[Any, set[str]] = {}
    for answer in tabs._fill(visiting, view.name, REQUEST):
        last = {component: set(update) for component, update in answer.items()}
        assert all(names <= last.get(component, set()) for component, names in told.items())
        told = last
        for update in answer.values():
            update.clear()  # as Gradio takes from it what it sends
    panel = tabs.panels[view.name]
    assert "value" in told[panel.plot] & told[panel.npz] & told[panel.csv] & told[panel.code]


def test_an_overtaken_request_says_nothing_more(explorer: Explorer) -> None:
    tabs, visiting = built(explorer), Visiting(replace(open_example(explorer, examples()[0], MODEL), arrived=True))
    answers = tabs._fill(visiting, "kernels", REQUEST)
    next(answers)
    visiting.take_turn()
    assert list(answers) == []


def test_a_forgotten_visit_is_told_so_and_shows_no_other_picture(explorer: Explorer) -> None:
    tabs, visiting = built(explorer), Visiting(open_example(explorer, examples()[0], MODEL))  # what Gradio begins with
    (answer,) = tabs._fill(visiting, "kernels", REQUEST)
    panel = tabs.panels["kernels"]
    assert answer[panel.remark]["value"] == texts_in("en")("error.session.expired")
    assert panel.plot not in answer


def test_what_is_taken_home_goes_with_the_figure_that_it_belongs_to(explorer: Explorer) -> None:
    visit = replace(open_example(explorer, examples()[0], MODEL), arrived=True)
    visit = replace(visit, pixel=(visit.pixel[0] + 40, visit.pixel[1]))  # where no view has looked yet
    tabs = built(explorer)
    panel = tabs.panels["attribution"]
    answers = list(tabs._fill(Visiting(visit), "attribution", REQUEST))
    shown = next(answer for answer in answers if panel.plot in answer)
    assert [shown[part]["visible"] for part in (panel.npz, panel.csv, panel.code)] == [False] * 3
    assert [answers[-1][part]["visible"] for part in (panel.npz, panel.csv, panel.code)] == [True] * 3
