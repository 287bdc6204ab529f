"""Corruption: nothing changes where nothing is corrupted; numbers against a forward pass and loops of their own."""

from itertools import permutations
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

import lsnet
from lsnet.preprocess import IMAGENET_MEAN, IMAGENET_STD
from lsnet.tools.corruptions import CORRUPTIONS, corrupt
from tests.marks import needs_corruptions
from viz.analysis import corruption
from viz.analysis.corruption import RANDOM, Corruption, corruption_effect
from viz.capture import trace_image
from viz.figures.corruption import draw_corruption
from viz.results.corruption import CorruptionEffect
from viz.texts import texts_in
from viz.trace import ForwardTrace

pytestmark = needs_corruptions

BLOCK, TOKEN = "blocks1.1", (4, 7)


@pytest.fixture(scope="module")
def effect(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> CorruptionEffect:
    *_, complete = corruption_effect(predictor, photo, trace, BLOCK, TOKEN, "gaussian_noise", 2, seed=5)
    return complete


@pytest.mark.parametrize("mode", ["crop", "whole"])
def test_a_picture_that_stays_as_it_is_changes_nothing(
    predictor: lsnet.Predictor, photo: Image.Image, mode: lsnet.preprocess.FrameMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corruption, "corrupt", lambda pixels, *how: pixels)
    framed = predictor.framed(96, mode)
    first, last = corruption_effect(framed, photo, trace_image(framed, photo), BLOCK, TOKEN)
    assert first.severities.tolist() == [3]
    assert last.severities.tolist() == [1, 2, 3, 4, 5]
    for values in (last.input_map, last.kernel_map, last.context_map, last.kernel_changes, last.context_changes):
        assert not values.any()
    np.testing.assert_array_equal(last.after, last.before)
    np.testing.assert_array_equal(last.probabilities, last.before[0])
    assert last.kept.all()


def test_against_a_forward_pass_of_its_own(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, effect: CorruptionEffect
) -> None:
    view = np.array(predictor.preprocess.view(photo))
    changed = corrupt(view, 5, "gaussian_noise", 2)
    inputs = [(pixels / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD) for pixels in (view, changed)]
    seen = []
    lkp = predictor.model.get_submodule(f"{BLOCK}.mixer.lkp")
    handle = lkp.register_forward_hook(lambda module, args, output: seen.append(output[0].flatten(0, -3)))
    with torch.no_grad(), handle:
        answers = [predictor.model(torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None])[0] for x in inputs]
    before, after = (kernels.double().numpy() for kernels in seen)  # (G * K * K, h, w)
    assert effect.kernel_changes[1] == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-3)
    row, column = TOKEN
    scale = np.sqrt(np.square(before).sum(0).mean())
    here = np.linalg.norm(after[:, row, column] - before[:, row, column]) / scale
    assert effect.kernel_map[TOKEN] == pytest.approx(here, rel=1e-3)
    np.testing.assert_allclose(effect.kernels_corrupted.ravel(), after[:, row, column], rtol=1e-3, atol=1e-4)
    clean, noisy = (answer.softmax(0) for answer in answers)
    top = int(clean.argmax())
    assert effect.before[0] == pytest.approx(float(clean[top]), rel=1e-3)
    assert effect.after[0] == effect.probabilities[1] == pytest.approx(float(noisy[top]), rel=1e-3)
    assert effect.kept[1] == (int(noisy.argmax()) == top)
    assert effect.classes[0]["en"] == predictor.classes[top].en


def test_the_change_of_pixels_cell_by_cell(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, effect: CorruptionEffect
) -> None:
    view = predictor.preprocess.view(photo)
    changed = Image.fromarray(corrupt(np.array(view), 5, "gaussian_noise", 2))
    before, after = (predictor.framed(96, "whole").batch(one)[0].numpy() for one in (view, changed))
    side, (height, width) = trace.block(BLOCK).stride, trace.block(BLOCK).grid
    scale = np.sqrt(np.square(before).sum() / (height * width))
    for row in range(height):
        for column in range(width):
            cell = np.s_[:, side * row : side * (row + 1), side * column : side * (column + 1)]
            expected = np.linalg.norm(after[cell] - before[cell]) / scale
            assert effect.input_map[row, column] == pytest.approx(expected, rel=1e-4)


def test_the_maps_add_up_to_the_whole_change(effect: CorruptionEffect) -> None:
    for name in ("input", "kernel", "context"):
        whole = np.sqrt(np.square(getattr(effect, f"{name}_map")).mean())
        assert getattr(effect, f"{name}_changes")[1] == pytest.approx(whole, rel=1e-4)


def test_shuffled_places_are_the_mean_over_all_permutations() -> None:
    values = torch.randn(5, 2, 2, generator=torch.Generator().manual_seed(0))
    columns = values.flatten(1)
    squares = [(columns[:, order] - columns).square().sum() for order in permutations(range(4))]
    expected = (torch.stack(squares).mean() / columns.square().sum()).sqrt()
    assert corruption._shuffled_change(values) == pytest.approx(expected.item(), rel=1e-5)


def test_the_names_are_those_of_imagenet_c_and_some_draw_at_random(photo: Image.Image) -> None:
    assert get_args(Corruption) == CORRUPTIONS
    pixels = np.array(photo.resize((64, 64)))
    differ = [name for name in CORRUPTIONS if (corrupt(pixels, 0, name, 3) != corrupt(pixels, 1, name, 3)).any()]
    assert tuple(differ) == RANDOM


def test_a_severity_that_is_none_and_a_block_without_kernels(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    with pytest.raises(ValueError, match="severity of 1 to 5"):
        next(corruption_effect(predictor, photo, trace, BLOCK, TOKEN, severity=6))
    with pytest.raises(ValueError, match="recorded kernels and context"):
        next(corruption_effect(predictor, photo, trace, "blocks1.0", (0, 0)))


def test_compared_panels_share_their_ranges(effect: CorruptionEffect) -> None:
    figure = draw_corruption(effect, texts_in("en"))
    maps = [drawn for drawn in figure.data if drawn.type == "heatmap"]
    kernels, context, changes = maps[:2], maps[2:4], maps[4:]
    for pair in (kernels, context):
        assert pair[0].zmax == pair[1].zmax == -pair[0].zmin
    assert kernels[0].zmax == max(np.abs(effect.kernels).max(), np.abs(effect.kernels_corrupted).max())
    assert {drawn.coloraxis for drawn in changes} == {"coloraxis"}
    assert figure.layout.coloraxis.cmin == 0
