"""Variants and transplants in the page: by a link, by the controls, and what a link to nonsense is told."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

import lsnet
from tests.e2e.hand import explorer, hover, settle
from viz.capture import trace_image
from viz.examples import examples
from viz.texts import entries
from viz.trace import ForwardTrace

pytestmark = pytest.mark.browser
Visit = Callable[..., Any]

COFFEE = next(example for example in examples() if example.id == "coffee")
PLACE = (300, 200)


def opened(visit: Visit, source: str, block: str, **options: Any) -> tuple[Any, ForwardTrace]:
    """A page at a link to a network, with the pointer at a place; and the same computed here."""
    page = visit(f"?img=coffee&model={quote(source, safe='')}&block={block}", **options)
    page.wait_for_function("(model) => window.lsnetExplorer.model === model", arg=source)
    page.wait_for_function("(block) => window.lsnetExplorer.block === block", arg=block)
    hover(page, *PLACE)
    return page, trace_image(lsnet.load_predictor(source, device="cpu"), COFFEE.path)


def at_place(trace: ForwardTrace, block: str) -> tuple[int, int]:
    token = trace.geometry.pixel_to_token(*PLACE, trace.blocks[block])
    assert token is not None
    return token


def assert_kernels(page: Any, trace: ForwardTrace, block: str) -> None:
    row, column = at_place(trace, block)
    kernels = trace.blocks[block].kernels[:, :, row, column].numpy()
    shown = page.evaluate(
        "(count) => Array.from({ length: count }, (_, g) => Array.from(window.lsnetExplorer.kernel(g)))", len(kernels)
    )
    np.testing.assert_allclose(shown, kernels, rtol=1e-4, atol=1e-5)
    assert explorer(page, "equation.error") < 1e-4
    output, expected = (explorer(page, f"equation.{name}") for name in ("output", "expected"))
    assert output == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_an_involution_is_seen_with_its_49_taps(visit: Visit) -> None:
    page, trace = opened(visit, "untrained/lsnet_n?mixer=involution", "blocks1.1")
    assert_kernels(page, trace, "blocks1.1")
    assert len(explorer(page, "kernel(0)")) == 49
    assert page.locator('[data-part="equation-weights"] .lsx-cell').count() == 49
    boxes = explorer(page, "boxes")
    sides = {name: boxes[name]["right"] - boxes[name]["left"] for name in ("token", "perception", "aggregation")}
    assert sides["perception"] == pytest.approx(sides["token"])
    assert sides["aggregation"] == pytest.approx(7 * sides["token"])
    assert "involution" in page.locator("#model input").input_value()
    assert "Untrained weights." in page.locator("#notice").inner_text()
    page.locator('[data-block="blocks2.2"]').click()
    settle(page)
    assert page.locator('[data-part="equation"]').is_hidden()


def test_attention_in_the_first_stage_is_seen_row_by_row(visit: Visit) -> None:
    page, trace = opened(visit, "untrained/lsnet_n?mixer=window", "blocks1.1", width=390, locale="zh-CN")
    block = trace.blocks["blocks1.1"]
    row, column = at_place(trace, "blocks1.1")
    expected = block.attention[:, row * block.grid[1] + column].numpy()
    shown = [
        list(page.evaluate("(h) => Array.from(window.lsnetExplorer.attention(h))", h)) for h in range(len(expected))
    ]
    np.testing.assert_allclose(shown, expected, rtol=1e-4, atol=1e-6)
    assert 0 < np.count_nonzero(expected[0]) <= 49  # a window, whatever the grid
    page.get_by_text(entries("zh-CN")["inspector.sees.window"]).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_transplant_is_seen_at_its_ls_convolutions(visit: Visit) -> None:
    name = "layer2.1.conv2.ls"
    page, trace = opened(visit, "untrained/ls_resnet50", name)
    assert_kernels(page, trace, name)
    assert [block["name"] for block in explorer(page, "blocks")] == list(trace.blocks)
    assert entries("en")["notice.transplant"] in page.locator("#notice").inner_text()


def test_a_variant_is_built_with_the_controls(visit: Visit) -> None:
    page = visit("?img=coffee")
    page.wait_for_function("window.lsnetExplorer.example === 'coffee'")
    page.get_by_text(entries("en")["variant.title"]).click()
    page.get_by_label(entries("en")["variant.mixer"], exact=False).first.click()
    page.get_by_role("option", name=entries("en")["variant.mixer.condconv"]).click()
    page.locator("#variant-kernel_large input").first.wait_for()
    page.wait_for_function("document.querySelector('#variant-kernel_large input').disabled")  # it has no K_L
    page.locator("#variant-kernel_small").get_by_text("5", exact=True).click()
    assert page.locator("#variant-ska input").is_disabled()  # nor SKA
    page.get_by_label(entries("en")["variant.se"]).uncheck()
    page.locator("#variant-open").click()
    source = "untrained/lsnet_n?mixer=condconv&kernel_small=5&se=false"
    page.wait_for_function("(model) => window.lsnetExplorer.model === model", arg=source)
    assert len(explorer(page, "kernel(0)")) == 25
    assert page.locator("#model input").input_value() == "LSNet-N · CondConv · K_S 5 · without SE · untrained"
    hover(page, *PLACE)
    page.wait_for_function("(model) => new URLSearchParams(location.search).get('model') === model", arg=source)


@pytest.mark.parametrize(("language", "locale"), [("en", "en-US"), ("zh-CN", "zh-CN")])
def test_a_link_to_nonsense_gets_a_sentence(visit: Visit, language: str, locale: str) -> None:
    page = visit(f"?lang={language}&model={quote('untrained/lsnet_n?mixer=nonsense', safe='')}", locale=locale)
    page.locator("#problem").wait_for()
    said = page.locator("#problem").inner_text()
    assert "nonsense" in said
    assert "involution" in said
    assert said.startswith(entries(language)["error.variant.value"].split("{")[0].strip())
    assert explorer(page, "ready")
