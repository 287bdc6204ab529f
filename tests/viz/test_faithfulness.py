"""The checks of an attribution against hand-worked curves, ranks and networks that know nothing."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import lsnet
from viz.analysis.attribution import Method, attribute
from viz.analysis.explained import Explained, Target, explained
from viz.analysis.faithfulness import (
    RANDOM_ORDERS,
    explain,
    highest_first,
    parts_before,
    randomise,
    rank_correlation,
    removal_curves,
    remove,
    untrained_like,
)
from viz.progress import Cancelled
from viz.results.attribution import Attribution, FaithfulAttribution, RandomisedAttribution
from viz.subject import Subject
from viz.texts import LANGUAGES, texts_in
from viz.trace import ForwardTrace
from viz.views.attribution import VIEW
from viz.views.settings import checked

BLOCK, TOKEN = "blocks2.3", (1, 2)
CLASS = Target(BLOCK, TOKEN)
TAP = Target(BLOCK, TOKEN, "tap", kernel_set=3, tap=5)
QUICK = Method("input_x_gradient")


@pytest.fixture(scope="module")
def predictor(tiny_predictor: lsnet.Predictor) -> lsnet.Predictor:
    return tiny_predictor.framed(64)


def found_by(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, target: Target) -> Attribution:
    return attribute(predictor, photo, trace, target, QUICK)


class WeighedPatches(Explained):
    """Each of four patches, where it is white, counts with its own weight."""

    weights = torch.tensor([[4.0, 1.0], [3.0, 2.0]])

    def __init__(self) -> None:
        super().__init__(nn.Identity())  # type: ignore[arg-type]

    def number(self, x: Tensor) -> Tensor:
        patches = nn.functional.avg_pool2d(x[:, :1], 3)[:, 0]  # (B, 2, 2)
        return (patches * self.weights).sum((1, 2))


def test_areas_of_four_patches_by_hand() -> None:
    """In the order 4, 3, 2, 1 the score falls over 10, 6, 3, 1, 0 and rises over 0, 4, 7, 9, 10."""
    white, black = torch.ones(1, 3, 6, 6), torch.zeros(1, 3, 6, 6)
    function = WeighedPatches()
    fractions, curves = removal_curves(function, white, black, function.weights.numpy(), patch=3)
    assert fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curves[0].tolist() == [10, 6, 3, 1, 0]
    assert curves[1].tolist() == [0, 4, 7, 9, 10]
    assert np.trapezoid(curves[:2], fractions).tolist() == [3.75, 6.25]
    assert len(curves) == 2 + RANDOM_ORDERS
    for random in curves[2:]:
        falls = -np.diff(random)
        assert sorted(falls.tolist()) == [1, 2, 3, 4]  # some order of the same four patches


def test_patches_that_the_edge_cuts() -> None:
    """A 5 × 4 picture in patches of 3: removing all of them leaves nothing of it."""

    class Brightness(WeighedPatches):
        def number(self, x: Tensor) -> Tensor:
            return x[:, 0].sum((1, 2))

    white, black = torch.ones(1, 3, 5, 4), torch.zeros(1, 3, 5, 4)
    order = np.array([[1, 4], [3, 2]], np.float32)
    _, curves = removal_curves(Brightness(), white, black, order, patch=3)
    assert curves[0].tolist() == [20, 17, 11, 9, 0]


@pytest.mark.parametrize("target", [CLASS, TAP], ids=lambda target: target.kind)
def test_curves_end_at_the_picture_and_at_the_baseline(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, target: Target
) -> None:
    result = remove(found_by(predictor, photo, trace, target), predictor, photo, trace, target)
    x = predictor.batch(photo)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (predictor.preprocess.mean, predictor.preprocess.std))
    with torch.no_grad():
        function = explained(predictor.model, trace, target)
        whole, nothing = (function.score(z).item() for z in (x, (torch.zeros_like(x) - mean) / std))
    if target.kind == "class":
        assert whole == pytest.approx(trace.logits.softmax(0).max().item(), rel=1e-4)
    close = {"rtol": 1e-3, "atol": 1e-6}
    np.testing.assert_allclose(result.deletion[[0, -1]], [whole, nothing], **close)
    np.testing.assert_allclose(result.insertion[[0, -1]], [nothing, whole], **close)
    np.testing.assert_allclose(result.random[:, [0, -1]], [[whole, nothing]] * RANDOM_ORDERS, **close)
    # An order and its reverse pass through the same pictures, which needs counts that mirror each other.
    np.testing.assert_allclose(result.fractions, 1 - result.fractions[::-1], atol=1e-6)
    assert result.random_areas[0] == pytest.approx(np.trapezoid(result.random[0], result.fractions), rel=1e-5)
    assert np.isfinite(np.concatenate([array.ravel() for array in result.arrays().values()])).all()


def test_random_orders_are_repeatable(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    found = found_by(predictor, photo, trace, CLASS)
    first, second = (remove(found, predictor, photo, trace, CLASS) for _ in range(2))
    assert np.array_equal(first.random, second.random)
    assert np.array_equal(first.deletion, second.deletion)
    assert len(np.unique(first.random, axis=0)) == RANDOM_ORDERS


def test_equal_patches_are_not_taken_row_by_row() -> None:
    values = np.zeros((10, 10), np.float32)
    values[4, 4] = 1
    order, again = (highest_first(values, np.random.default_rng(3)) for _ in range(2))
    assert order[0] == 44
    assert sorted(order.tolist()) == list(range(100))
    assert order.tolist() == again.tolist()
    assert order[1:].tolist() != sorted(order[1:].tolist())


def test_rank_correlation_by_hand() -> None:
    """Ranks 1, 2½, 2½, 4 and 1, 3, 2, 4: Σab = Σa² = 4.5, Σb² = 5 around their means."""
    a, b = np.array([[1, 2], [2, 9]], np.float32), np.array([[-5, 3], [2, 4]], np.float32)
    assert rank_correlation(a, b) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    noise = np.random.default_rng(0).normal(size=(9, 9)).astype(np.float32)
    assert rank_correlation(noise, np.exp(noise)) == pytest.approx(1)
    assert rank_correlation(noise, -noise) == pytest.approx(-1)
    assert rank_correlation(noise, np.ones_like(noise)) == 0


def test_an_untrained_network_of_the_same_kind(predictor: lsnet.Predictor) -> None:
    state = torch.get_rng_state()
    first, second = untrained_like(predictor.model), untrained_like(predictor.model)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.config == predictor.model.config
    assert not first.training
    known = lsnet.load_predictor("untrained/lsnet_n", device="cpu").model.state_dict()
    weights = [name for name in first.state_dict() if name.endswith(".c.weight")]
    assert all(torch.equal(first.state_dict()[name], second.state_dict()[name]) for name in weights)
    assert not any(torch.equal(first.state_dict()[name], known[name]) for name in weights)


def test_randomising_ends_at_a_network_that_knows_nothing(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    before = {name: value.clone() for name, value in predictor.model.state_dict().items()}
    found = found_by(predictor, photo, trace, CLASS)
    result = randomise(found, predictor, photo, trace, CLASS, QUICK)
    assert all(torch.equal(value, before[name]) for name, value in predictor.model.state_dict().items())
    assert result.parts == ("head", "stage4", "stage3", "stage2", "stage1", "stem")
    ignorant = replace(predictor, model=untrained_like(predictor.model))
    expected = attribute(ignorant, photo, trace, CLASS, QUICK).map
    np.testing.assert_allclose(result.randomised, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert result.signed[-1] == pytest.approx(rank_correlation(found.map, expected), abs=1e-3)
    assert (np.abs([*result.signed, *result.magnitudes]) <= 1 + 1e-6).all()


def test_the_first_step_forgets_the_head_alone(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    found = found_by(predictor, photo, trace, CLASS)
    headless = copy.deepcopy(predictor.model)
    headless.head = untrained_like(predictor.model).head
    expected = attribute(replace(predictor, model=headless), photo, trace, CLASS, QUICK).map
    result = randomise(found, predictor, photo, trace, CLASS, QUICK)
    assert result.signed[0] == pytest.approx(rank_correlation(found.map, expected), abs=1e-3)


def test_only_what_a_number_depends_on_is_randomised(predictor: lsnet.Predictor) -> None:
    assert parts_before(TAP, predictor.model) == ("stage2", "stage1", "stem")
    without_stage1 = lsnet.load_predictor("untrained/lsnet_t", device="cpu").model
    assert "stage1" not in parts_before(CLASS, without_stage1)


def test_a_fused_network_can_be_randomised(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    fused = replace(predictor, model=copy.deepcopy(predictor.model).fuse())
    found = found_by(predictor, photo, trace, TAP)
    plain, folded = (randomise(found, p, photo, trace, TAP, QUICK) for p in (predictor, fused))
    np.testing.assert_allclose(folded.signed, plain.signed, atol=0.01)


def test_a_map_comes_before_its_check(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    def kinds(check: str) -> list[type]:
        return [type(r) for r in explain(predictor, photo, trace, TAP, QUICK, check)]  # type: ignore[arg-type]

    assert kinds("none") == [Attribution]
    assert kinds("faithfulness") == [Attribution, FaithfulAttribution]
    assert kinds("randomised_weights") == [Attribution, RandomisedAttribution]


@pytest.mark.parametrize("check", ["faithfulness", "randomised_weights"])
def test_checks_report_and_can_be_stopped(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, check: str
) -> None:
    shares: list[float] = []

    def stop_halfway(share: float) -> None:
        shares.append(share)
        if len(shares) > 1 and share > 0.4:  # the first one is the map's
            raise Cancelled

    results = explain(predictor, photo, trace, TAP, QUICK, check, stop_halfway)  # type: ignore[arg-type]
    next(results)
    with pytest.raises(Cancelled):
        next(results)
    assert 0.4 < shares[-1] < 1
    assert not any(module._forward_hooks or module._backward_hooks for module in predictor.model.modules())


@pytest.mark.parametrize("target", ["class", "tap"])
@pytest.mark.parametrize("check", ["faithfulness", "randomised_weights"])
def test_checks_are_told_and_drawn(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, check: str, target: str
) -> None:
    subject = Subject(predictor, photo, trace, BLOCK, TOKEN)
    given = {"method": "input_x_gradient", "target": target, "check": check}
    result = VIEW.result(subject, checked(VIEW.settings, given, "attribution", subject, texts_in("en")))
    for language in LANGUAGES:
        say = texts_in(language)
        assert len(VIEW.tell(result, say).split("\n\n")) == 3
        figure = VIEW.draw(result, say, True)
        assert len(figure.layout.annotations) == 4 + 2 + 1
    if isinstance(result, FaithfulAttribution):
        ranges = [axis.range for axis in list(figure.select_yaxes())[-2:]]
        assert ranges[0] == ranges[1]
