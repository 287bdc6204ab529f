"""The views under the inspector, as a visitor uses them: open, set, take home, stop."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lsnet
from tests.e2e.conftest import MODEL
from tests.e2e.hand import explorer, hover, swipe
from viz.capture import trace_image
from viz.examples import examples
from viz.texts import entries
from viz.views import VIEWS, View

pytestmark = pytest.mark.browser
Visit = Callable[..., Any]


def plot_of(view: str) -> str:
    return f"#plot-{view} .js-plotly-plot .main-svg"


def open_tab(page: Any, view: str, language: str = "en") -> None:
    page.get_by_role("tab", name=entries(language)[f"view.{view}.title"], exact=True).click()


def settled(page: Any, view: str) -> None:
    """Until the view's last result is shown: only then its numbers can be taken home."""
    page.locator(plot_of(view)).first.wait_for()
    page.locator(f"#npz-{view}").wait_for()
    page.locator(f"#busy-{view}").wait_for(state="hidden")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize(("width", "language"), [(1280, "en"), (390, "zh-CN")])
def test_every_view_opens_and_fits_the_window(visit: Visit, view: View, width: int, language: str) -> None:
    page = visit(f"?lang={language}&tab={view.name}", width=width, locale=language)
    page.get_by_text(entries(language)["input.upload"]).first.wait_for()
    settled(page, view.name)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_text(entries(language)["error.internal"]).count() == 0


def test_a_table_of_formulas_makes_a_phones_page_no_wider(visit: Visit) -> None:
    page = visit("?tab=comparison", width=390)
    settled(page, "comparison")
    page.locator("#told-comparison table").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_browser_that_lags_behind_shows_everything(visit: Visit) -> None:
    page = visit("?tab=cost", width=390, slower=4)
    settled(page, "cost")


def test_what_is_taken_home_is_what_was_computed(visit: Visit, tmp_path: Path) -> None:
    page = visit("?tab=kernels")
    settled(page, "kernels")
    files = {}
    for kind in ("npz", "csv", "png", "svg"):
        with page.expect_download() as download:
            page.locator(f"#{kind}-kernels").click()
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
        assert files[kind].name == f"lsnet-kernels.{kind}"
    trace = trace_image(lsnet.load_predictor(MODEL, device="cpu"), examples()[0].path)
    with np.load(files["npz"], allow_pickle=False) as stored:
        block = trace.block(str(stored["place"]).split(",")[0])
        row, column = (int(number) for number in re.findall(r"row (\d+), column (\d+)", str(stored["place"]))[0])
        expected = block.kernels[:, :, row, column].unflatten(1, (3, 3)).numpy()
        np.testing.assert_allclose(stored["kernels"], expected, rtol=1e-4, atol=1e-5)
        count = sum(stored[name].size for name in stored if name != "place")
    assert len(files["csv"].read_text(encoding="utf-8").splitlines()) == count + 2
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    svg = files["svg"].read_text(encoding="utf-8")
    assert "<svg" in svg
    assert block.name in svg
    assert "untrained" in svg


def test_a_setting_changes_the_figure_and_stays_while_the_pin_moves(visit: Visit) -> None:
    page = visit("?tab=cost")
    settled(page, "cost")
    before = page.locator("#plot-cost").inner_text()
    page.get_by_label(entries("en")["view.cost.set.show.paper"], exact=True).check()
    page.wait_for_function("(before) => document.querySelector('#plot-cost').innerText !== before", arg=before)
    settled(page, "cost")
    assert page.get_by_label(entries("en")["view.cost.set.show.paper"], exact=True).is_checked()


def test_the_open_view_stands_in_the_address_and_a_link_opens_it(visit: Visit) -> None:
    page = visit()
    open_tab(page, "attention")
    settled(page, "attention")
    assert "tab=attention" in page.url
    other = visit(page.url[page.url.index("?") :])
    settled(other, "attention")
    tab = other.get_by_role("tab", name=entries("en")["view.attention.title"], exact=True)
    assert tab.get_attribute("aria-selected") == "true"
    assert other.locator("#npz-kernels").count() == 0 or not other.locator("#npz-kernels").is_visible()


def test_a_link_sets_the_view_that_it_opens(visit: Visit) -> None:
    page = visit("?tab=cost&set.show=scaling&set.quantity=bytes")
    settled(page, "cost")
    for setting, option in (("show", "scaling"), ("quantity", "bytes")):
        label = entries("en")[f"view.cost.set.{setting}.{option}"]
        assert page.locator("#views").get_by_label(label, exact=True).first.is_checked()


def test_inspector_and_views_stay_at_the_same_place_when_the_picture_is_seen_otherwise(visit: Visit) -> None:
    page = visit("?tab=kernels")
    settled(page, "kernels")
    hover(page, 200, 150)
    place = page.evaluate("window.lsnetExplorer.clientOf({ x: 200, y: 150 })")
    page.mouse.click(place["x"], place["y"])
    settled(page, "kernels")
    pinned = explorer(page, "pixel")
    page.locator("#more button").first.click()
    with page.expect_response(lambda response: "trace.lsnx" in response.url):
        page.locator("#size").get_by_text("320").click()
    page.wait_for_function("!document.querySelector('.lsx').dataset.busy")
    assert explorer(page, "pixel") == pinned
    token = explorer(page, "token")
    page.wait_for_function(
        "(place) => document.querySelector('#plot-kernels').textContent.includes(place)",
        arg=f"row {token['row']}, column {token['col']}",
    )


def test_a_views_settings_leave_the_address_with_it(visit: Visit) -> None:
    page = visit("?tab=cost&set.show=paper")
    settled(page, "cost")
    open_tab(page, "attention")
    settled(page, "attention")
    assert "tab=attention" in page.url
    assert "set." not in page.url


def test_settings_that_do_not_apply_are_not_shown(visit: Visit) -> None:
    words = entries("en")
    page = visit("?tab=attribution&set.method=grad_cam&set.layer=chosen")
    settled(page, "attribution")

    def shown(setting: str) -> Any:
        return page.locator("#tab-attribution .settings").get_by_text(
            words[f"view.attribution.set.{setting}"], exact=True
        )

    for setting, visible in {"layer": True, "label": True, "steps": False, "baseline": False, "tap": False}.items():
        shown(setting).first.wait_for(state="visible" if visible else "hidden")
    assert page.get_by_label(words["view.attribution.set.layer.chosen"], exact=True).is_checked()
    page.get_by_label(words["view.attribution.set.target.tap"], exact=True).check()
    for setting, visible in {"tap": True, "set": True, "label": False, "layer": False}.items():
        shown(setting).first.wait_for(state="visible" if visible else "hidden")
    settled(page, "attribution")


def test_a_finger_on_a_figure_moves_the_page(visit: Visit) -> None:
    """It does not zoom the figure, and no bar of tools covers its titles."""
    page = visit("?tab=cost", width=390, height=844, has_touch=True, is_mobile=True)
    settled(page, "cost")
    page.wait_for_function("document.querySelector('#plot-cost .js-plotly-plot')._fullLayout.dragmode === false")
    page.locator("#plot-cost .js-plotly-plot").evaluate("(node) => node.scrollIntoView({ block: 'center' })")
    axes = "JSON.stringify(document.querySelector('#plot-cost .js-plotly-plot')._fullLayout.yaxis.range)"
    before, ranges = page.evaluate("scrollY"), page.evaluate(axes)
    swipe(page, 200, 420, by=-200)
    page.wait_for_function("(before) => scrollY > before + 100", arg=before)
    assert page.evaluate(axes) == ranges
    assert page.locator("#plot-cost .modebar-container").is_hidden()


@pytest.mark.parametrize("view", ["attention", "corruption"])
def test_rows_of_maps_move_together_on_a_phone(visit: Visit, view: str) -> None:
    page = visit(f"?tab={view}", width=390)
    settled(page, view)
    page.wait_for_timeout(300)
    first, below = page.evaluate(
        """(view) => {
          const { _fullLayout: full } = document.querySelector(`#plot-${view} .js-plotly-plot`);
          const { h } = full._size;
          const rows = [full.yaxis, full.yaxis4];
          return rows.map((axis) => [axis.domain[0] * h, axis.domain[1] * h]);
        }""",
        view,
    )
    assert 0 < first[0] - below[1] < 60  # a title, and no gap
