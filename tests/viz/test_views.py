"""Every view: from trace to figure in both languages, and Python lines that really reproduce its numbers."""

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

import lsnet
from viz import theme
from viz.capture import trace_image
from viz.examples import EXAMPLES_DIR
from viz.images import load_picture
from viz.results import Result
from viz.subject import Subject
from viz.texts import LANGUAGES, entries, texts_in
from viz.trace import ForwardTrace
from viz.views import VIEWS, View
from viz.views.settings import checked


@pytest.fixture(scope="module")
def trace(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> ForwardTrace:
    return trace_image(tiny_predictor, photo, size=160)


@pytest.fixture(scope="module")
def subject(tiny_predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> Subject:
    return Subject(tiny_predictor.framed(160), photo, trace, "blocks1.1", (1, 1))


def at_home(view: View, subject: Subject) -> Subject:
    """The subject at the nearest block that the view looks into."""
    block = view.block_for(subject.trace, subject.block)
    assert block is not None
    return replace(subject, block=block)


def analysed(view: View, subject: Subject) -> Result:
    """The result with default settings."""
    return view.result(subject, checked(view.settings, {}, view.name, subject, texts_in("en")))


def named(name: str) -> View:
    return next(view for view in VIEWS if view.name == name)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_draws(view: View, subject: Subject, language: str, dark: bool) -> None:
    home = at_home(view, subject)
    result = analysed(view, home)
    figure = view.draw(result, texts_in(language), dark)
    assert isinstance(figure, go.Figure)
    written = json.loads(figure.to_json())
    captions = " ".join(annotation["text"] for annotation in written["layout"]["annotations"])
    assert home.block in captions
    assert "untrained" in captions
    assert {f"view.{view.name}.title", f"view.{view.name}.explain"} <= set(entries(language))
    arrays = result.arrays()
    assert arrays
    assert all(np.isfinite(array).all() for array in arrays.values())


def heatmaps(figure: go.Figure) -> list[go.Heatmap]:
    return [drawn for drawn in figure.data if isinstance(drawn, go.Heatmap)]


def test_the_kernel_wall_shows_every_kernel_on_one_signed_range(trace: ForwardTrace, subject: Subject) -> None:
    view = named("kernels")
    result = analysed(view, replace(subject, block="blocks2.3", token=(3, 2)))
    (wall,) = heatmaps(view.draw(result, texts_in("en"), False))
    z = np.asarray(wall.z, dtype=np.float32)
    drawn = z[np.isfinite(z)]
    stored = trace.blocks["blocks2.3"].kernels[:, :, 3, 2].numpy()
    assert sorted(drawn.tolist()) == sorted(stored.ravel().tolist())
    assert z[0:3, 4:7].tolist() == stored[1].reshape(3, 3).tolist()  # set 1 stands to the right of set 0
    assert wall.zmax == -wall.zmin == trace.blocks["blocks2.3"].kernels.abs().max()
    assert [tuple(stop) for stop in wall.colorscale] == theme.DIVERGING


def test_attention_maps_share_one_range_from_zero(trace: ForwardTrace, subject: Subject) -> None:
    view = named("attention")
    result = analysed(view, replace(subject, block="blocks4.3", token=(0, 2)))
    figure = view.draw(result, texts_in("en"), False)
    maps = heatmaps(figure)
    assert len(maps) == 4 + 1
    assert {drawn.coloraxis for drawn in maps} == {"coloraxis"}
    assert figure.layout.coloraxis.cmin == 0
    row = trace.blocks["blocks4.3"].attention[2, 2].reshape(3, 3).numpy()
    np.testing.assert_array_equal(np.asarray(maps[2].z), row)


def test_the_steps_of_perception_are_centred_on_zero(trace: ForwardTrace, subject: Subject) -> None:
    view = named("large_field")
    result = view.result(subject, checked(view.settings, {"show": "steps"}, view.name, subject, texts_in("en")))
    maps = heatmaps(view.draw(result, texts_in("en"), False))
    context = trace.blocks["blocks1.1"].context.mean(0).numpy()
    np.testing.assert_allclose(np.asarray(maps[2].z), context, rtol=1e-5, atol=1e-6)
    assert all(drawn.zmax == -drawn.zmin for drawn in maps)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_nearest_block_of_the_views_kind(view: View, trace: ForwardTrace) -> None:
    chosen = view.block_for(trace, "blocks3.2")
    assert chosen == ("blocks3.2" if "dw" in view.kinds else "blocks3.3" if "ls" in view.kinds else "blocks4.3")
    assert view.block_for(trace, chosen) == chosen


STRIP = Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 2000, 3), np.uint8))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("picture", [Image.new("RGB", (300, 300), (128, 128, 128)), STRIP], ids=["constant", "strip"])
def test_every_view_stands_pictures_without_a_thing_or_a_shape(
    view: View, picture: Image.Image, tiny_predictor: lsnet.Predictor
) -> None:
    framed = tiny_predictor.framed(64, "whole")
    trace = trace_image(framed, picture)
    subject = at_home(view, Subject(framed, picture, trace, "blocks1.1", (0, 0)))
    result = analysed(view, subject)
    assert all(np.isfinite(array).all() for array in result.arrays().values())
    figure = view.draw(result, texts_in("zh-CN"), False)
    json.loads(figure.to_json(), parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    view.tell(result, texts_in("en"))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_python_lines_reproduce_the_numbers(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = EXAMPLES_DIR / "coffee.jpg"
    source = "untrained/lsnet_n"
    predictor, loaded = lsnet.load_predictor(source).framed(96, "whole"), load_picture(picture)
    trace = trace_image(predictor, loaded)
    subject = at_home(view, Subject(predictor, loaded, trace, "blocks1.1", (1, 0)))
    values = checked(view.settings, {}, view.name, subject, texts_in("en"))
    expected = view.result(subject, values).arrays()
    lines = view.python_lines(source, str(picture), 96, "whole", subject.block, (1, 0), values)
    scope: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(lines, scope)
    arrays = scope["result"].arrays()  # type: ignore[attr-defined]
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-5, atol=1e-6)
