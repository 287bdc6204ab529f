"""What a view's tab is told while it is filled."""

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


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(AppConfig(device="cpu", model=MODEL, threads=1))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_last_answer_holds_all_that_came_before(explorer: Explorer, view: View) -> None:
    """A browser that lags behind finds nothing but the last one: Gradio's client changes the others in place."""
    with gr.Blocks():
        tabs = ViewTabs(explorer, Localizer(), texts_in("en"))
    visiting = Visiting(open_example(explorer, examples()[0], MODEL))
    told: dict[Any, set[str]] = {}
    request: Any = SimpleNamespace(session_hash="someone")
    for answer in tabs._fill(visiting, view.name, request):
        last = {component: set(update) for component, update in answer.items()}
        assert all(names <= last.get(component, set()) for component, names in told.items())
        told = last
        for update in answer.values():
            update.clear()  # as Gradio takes from it what it sends
    panel = tabs.panels[view.name]
    assert "value" in told[panel.plot] & told[panel.npz] & told[panel.csv] & told[panel.code]
