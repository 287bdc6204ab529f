"""Every view: from trace to figure in both languages, and Python lines that really reproduce its numbers."""

import contextlib
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

import lsnet
from viz import theme
from viz.capture import trace_image
from viz.examples import EXAMPLES_DIR
from viz.texts import LANGUAGES, entries, texts_in
from viz.trace import ForwardTrace
from viz.views import VIEWS, View


@pytest.fixture(scope="module")
def trace(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> ForwardTrace:
    return trace_image(tiny_predictor, photo, size=160)


def shown_block(view: View, trace: ForwardTrace) -> str:
    block = view.block_for(trace, "blocks1.1")
    assert block is not None
    return block


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_draws(view: View, trace: ForwardTrace, language: str, dark: bool) -> None:
    block = shown_block(view, trace)
    result = view.analyse(trace, block, (1, 1))
    figure = view.draw(result, texts_in(language), dark)
    assert isinstance(figure, go.Figure)
    written = json.loads(figure.to_json())
    captions = " ".join(annotation["text"] for annotation in written["layout"]["annotations"])
    assert block in captions
    assert "untrained" in captions
    assert {f"view.{view.name}.title", f"view.{view.name}.explain"} <= set(entries(language))
    arrays = result.arrays()
    assert arrays
    assert all(np.isfinite(array).all() for array in arrays.values())


def heatmaps(figure: go.Figure) -> list[go.Heatmap]:
    return [drawn for drawn in figure.data if isinstance(drawn, go.Heatmap)]


def test_the_kernel_wall_shows_every_kernel_on_one_signed_range(trace: ForwardTrace) -> None:
    view = next(view for view in VIEWS if view.name == "kernels")
    result = view.analyse(trace, "blocks2.3", (3, 2))
    (wall,) = heatmaps(view.draw(result, texts_in("en"), False))
    z = np.asarray(wall.z, dtype=np.float32)
    drawn = z[np.isfinite(z)]
    stored = trace.blocks["blocks2.3"].kernels[:, :, 3, 2].numpy()
    assert sorted(drawn.tolist()) == sorted(stored.ravel().tolist())
    assert z[0:3, 4:7].tolist() == stored[1].reshape(3, 3).tolist()  # set 1 stands to the right of set 0
    assert wall.zmax == -wall.zmin == trace.blocks["blocks2.3"].kernels.abs().max()
    assert [tuple(stop) for stop in wall.colorscale] == theme.DIVERGING


def test_attention_maps_share_one_range_from_zero(trace: ForwardTrace) -> None:
    view = next(view for view in VIEWS if view.name == "attention")
    result = view.analyse(trace, "blocks4.3", (0, 2))
    figure = view.draw(result, texts_in("en"), False)
    maps = heatmaps(figure)
    assert len(maps) == 4 + 1
    assert {drawn.coloraxis for drawn in maps} == {"coloraxis"}
    assert figure.layout.coloraxis.cmin == 0
    row = trace.blocks["blocks4.3"].attention[2, 2].reshape(3, 3).numpy()
    np.testing.assert_array_equal(np.asarray(maps[2].z), row)


def test_context_is_centred_on_zero(trace: ForwardTrace) -> None:
    view = next(view for view in VIEWS if view.name == "context")
    (drawn,) = heatmaps(view.draw(view.analyse(trace, "blocks1.1", (0, 0)), texts_in("en"), False))
    np.testing.assert_allclose(drawn.z, trace.blocks["blocks1.1"].context.mean(0).numpy(), rtol=1e-5, atol=1e-6)
    assert drawn.zmax == -drawn.zmin


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_nearest_block_of_the_views_kind(view: View, trace: ForwardTrace) -> None:
    chosen = view.block_for(trace, "blocks3.2")
    expected = {"ls": "blocks3.3", "msa": "blocks4.3"}[view.kind]
    assert chosen == expected
    assert view.block_for(trace, expected) == expected


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_python_lines_reproduce_the_numbers(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = EXAMPLES_DIR / "coffee.jpg"
    source = "untrained/lsnet_n"
    trace = trace_image(lsnet.load_predictor(source), picture, size=96, mode="whole")
    block = shown_block(view, trace)
    expected = view.analyse(trace, block, (1, 0)).arrays()
    lines = view.python_lines(source, str(picture), 96, "whole", block, (1, 0))
    scope: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(lines, scope)
    arrays = scope["result"].arrays()  # type: ignore[attr-defined]
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-5, atol=1e-6)
