"""What surgery does to features and answers, against forward passes made by hand."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import lsnet
from lsnet.mixers import LSConv
from lsnet.registry import create_lsnet
from lsnet.tools.metrics import wilson
from tests.conftest import randomize
from viz.analysis.operations import Surgery, operated
from viz.analysis.surgery import agreement_over, kernel_surgery
from viz.analysis.surgery_plan import plan
from viz.capture import capture, trace_image
from viz.figures.surgery import draw_surgery
from viz.progress import Cancelled
from viz.results.surgery import SurgeryEffect
from viz.texts import LANGUAGES, texts_in
from viz.trace import ForwardTrace
from viz.views.surgery import VIEW

OPERATIONS = ("mean", "identity", "box", "pixel", "picture", "shuffle", "surround", "uniform_attention")
LS = ("blocks1.1", "blocks2.3", "blocks3.3", "blocks3.5")


def run(predictor: lsnet.Predictor, picture: Image.Image, *surgeries: Surgery) -> tuple[Tensor, Tensor]:
    """Logits, and what the last block puts out."""
    tap = "blocks4.5.features"
    with torch.no_grad(), operated(predictor.model, surgeries) as patched, capture(patched, [tap]) as record:
        return patched(predictor.batch(picture))[0], record[tap][0]


def complete(results: Iterator[SurgeryEffect]) -> SurgeryEffect:
    *_, last = results
    return last


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("where", ["block", "all"])
def test_the_effect_is_what_two_forward_passes_say(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, operation: str, where: str
) -> None:
    chosen = (predictor, photo, trace, "blocks2.3", (2, 3), operation)
    result = complete(kernel_surgery(*chosen, where=where, other="rocket"))  # type: ignore[arg-type]
    rows = plan(*chosen, other="rocket")  # type: ignore[arg-type]
    shown = result.place.block if where == "block" else "all"
    assert result.operated == tuple(surgery.block for surgery in rows[shown])
    logits, last = run(predictor, photo, *rows[shown])
    np.testing.assert_allclose(result.logits_after, logits.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(result.logits_before, trace.logits.numpy(), rtol=1e-5, atol=1e-5)
    p, q = (values.double().softmax(0).numpy() for values in (trace.logits, logits))
    assert result.divergence == pytest.approx(sum(p * np.log2(p / q)), rel=1e-3, abs=1e-6)
    untouched = trace.block("blocks4.5").features
    change = float((last - untouched).norm() / untouched.norm())
    assert result.feature_change[-1] == pytest.approx(change, rel=1e-3)
    assert math.sqrt(np.square(result.last_map).mean()) == pytest.approx(change, rel=1e-3)
    first = list(trace.blocks).index(result.operated[0])
    assert result.feature_change[:first].tolist() == [0.0] * first
    assert result.feature_change[first] > 0
    row = result.rows.index(shown)
    assert result.row_divergence[row] == pytest.approx(result.divergence, rel=1e-5)
    assert result.row_kept[row] == float(logits.argmax() == trace.logits.argmax())
    assert result.top1_change == pytest.approx((logits - trace.logits)[trace.logits.argmax()].item(), abs=1e-4)
    assert len(result.before) == len(result.after) == len(result.classes) >= 5
    assert all(np.isfinite(values).all() for values in result.arrays().values())


def test_halves_of_the_sets(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    kernels = trace.block("blocks2.3").kernels.numpy().astype(np.float64)
    varies = [one.var(axis=(1, 2)).sum() / np.square(one).mean(axis=(1, 2)).sum() for one in kernels]
    order = np.argsort(varies)[::-1]
    dynamic, static = (
        plan(predictor, photo, trace, "blocks2.3", (0, 0), sets=sets)["blocks2.3"][0].sets
        for sets in ("dynamic", "static")
    )
    assert dynamic == tuple(sorted(order[:6].tolist()))
    assert static == tuple(sorted(order[6:].tolist()))
    result = complete(kernel_surgery(predictor, photo, trace, "blocks2.3", (0, 0), sets="static"))
    assert result.sets == (6, 12)


def test_the_pixel_is_the_same_place_in_every_block(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    """The cell of token (2, 3) at stride 16 has its centre at (40, 56): (5, 7) at stride 8 and (1, 1) at stride 32."""
    rows = plan(predictor, photo, trace, "blocks2.3", (2, 3), "pixel")
    for block, (row, column) in {"blocks1.1": (5, 7), "blocks2.3": (2, 3), "blocks3.5": (1, 1)}.items():
        kernels = trace.block(block).kernels[None]
        moved = rows[block][0].operation(predictor.model, kernels, kernels)
        assert torch.equal(moved[..., 0, 0], kernels[..., row, column])


def test_agreement_counts_picture_by_picture(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    pictures = [photo, photo.rotate(90), photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    rows = {"own": plan(predictor, photo, trace, "blocks1.1", (0, 0), "shuffle")["all"], "none": ()}
    answers = [int(predictor.logits(picture).argmax()) for picture in pictures]
    operated_answers = [int(run(predictor, p, *rows["own"])[0].argmax()) for p in pictures]
    labels = [answers[0], answers[1], operated_answers[2]]
    shares: list[float] = []
    *_, result = agreement_over(predictor, pictures, rows, labels, shares.append)
    hits = [sum(a == b for a, b in zip(answers, operated_answers, strict=True)), 3]
    right = [sum(a == b for a, b in zip(found, labels, strict=True)) for found in (answers, operated_answers, answers)]
    for measured, counts in ((result.agreement, hits), (result.accuracy, right)):
        expected = [(rate.value, rate.low, rate.high) for rate in (wilson(count, 3) for count in counts)]
        np.testing.assert_allclose(measured, expected, rtol=1e-6)
    assert result.rows == ("own", "none")
    assert result.pictures == result.total == 3
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    with pytest.raises(ValueError, match="expected 3 labels, got 1"):
        next(agreement_over(predictor, pictures, rows, [0]))


def test_partial_results_and_progress(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    shares: list[float] = []
    results = list(
        kernel_surgery(predictor, photo, trace, "blocks3.3", (1, 1), bundled_photos=True, progress=shares.append)
    )
    assert results[0].agreement is None
    counted = [result.agreement.pictures for result in results[1:] if result.agreement]
    assert counted == list(range(1, len(results)))
    assert results[-1].agreement.total == counted[-1]
    assert "agreement" in results[-1].arrays()
    assert "accuracy" not in results[-1].arrays()
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_a_cancelled_surgery_leaves_no_trace(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    def cancel(share: float) -> None:
        if share > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        complete(kernel_surgery(predictor, photo, trace, "blocks3.3", (1, 1), progress=cancel))
    assert not any(module._forward_hooks for module in predictor.model.modules())


def test_the_same_photo_changes_nothing(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    result = complete(kernel_surgery(predictor, photo, trace, "blocks3.3", (1, 1), "picture", "all", other="coffee"))
    assert result.feature_change.max() < 1e-5
    assert "this very picture" in VIEW.tell(result, texts_in("en"))


def test_what_does_not_fit_goes_to_the_nearest_block(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    result = complete(kernel_surgery(predictor, photo, trace, "blocks2.3", (5, 5), "uniform_attention"))
    assert result.place.block == "blocks4.3"
    assert result.place.token == (1, 1)
    assert result.sets == (4, 4)
    assert "blocks2.3" in VIEW.tell(result, texts_in("en"))
    assert complete(kernel_surgery(predictor, photo, trace, "blocks3.4", (0, 0))).place.block == "blocks3.5"


@pytest.mark.parametrize(
    ("mixer", "operation", "code"),
    [
        ("static", "mean", "surgery.nothing"),
        ("small", "surround", "surgery.no_surround"),
        ("ls", "picture", "surgery.photo"),
    ],
)
def test_networks_with_nothing_to_operate_on(
    predictor: lsnet.Predictor, photo: Image.Image, mixer: str, operation: str, code: str
) -> None:
    other = replace(predictor, model=randomize(create_lsnet("lsnet_n", mixer=mixer)))
    trace = trace_image(other, photo, size=64)
    with pytest.raises(lsnet.InputError) as told:
        complete(kernel_surgery(other.framed(64), photo, trace, "blocks4.3", (0, 0), operation, other="no such"))  # type: ignore[arg-type]
    assert told.value.code == code


def test_a_network_without_a_large_kernel_can_be_operated_on(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    small = replace(predictor, model=randomize(create_lsnet("lsnet_n", mixer="small"))).framed(64)
    assert isinstance(small.model.get_submodule("blocks1.1.mixer"), LSConv)
    result = complete(kernel_surgery(small, photo, trace_image(small, photo), "blocks1.1", (0, 0)))
    assert result.divergence > 0


@pytest.mark.parametrize("operation", ["mean", "picture"])
@pytest.mark.parametrize("picture", [Image.new("RGB", (50, 50), "gray"), Image.new("RGB", (33, 2000), "navy")])
def test_pictures_without_content_or_shape(
    tiny_predictor: lsnet.Predictor, picture: Image.Image, operation: str
) -> None:
    framed = tiny_predictor.framed(64, "whole")
    trace = trace_image(framed, picture)
    result = complete(
        kernel_surgery(framed, picture, trace, "blocks3.3", (0, 0), operation)  # type: ignore[arg-type]
    )
    assert all(np.isfinite(values).all() for values in result.arrays().values())
    assert draw_surgery(result, texts_in("en")).layout.height < 2000


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_figure_shows_the_numbers(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, language: str
) -> None:
    say = texts_in(language)
    result = complete(kernel_surgery(predictor, photo, trace, "blocks3.3", (1, 1), "shuffle", bundled_photos=True))
    figure = draw_surgery(result, say, dark=True)
    captions = " ".join(annotation.text for annotation in figure.layout.annotations)
    assert "blocks3.3" in captions
    assert "untrained" in captions
    assert say("view.surgery.set.operation.shuffle") in captions
    before, after, profile, here, there, rows, agreement = figure.data
    np.testing.assert_array_equal(before.x, result.before)
    np.testing.assert_array_equal(after.x, result.after)
    np.testing.assert_array_equal(profile.y, result.feature_change)
    assert here.coloraxis == there.coloraxis == "coloraxis"
    assert figure.layout.coloraxis.cmax == max(result.block_map.max(), result.last_map.max())
    np.testing.assert_array_equal(rows.x, result.row_divergence)
    np.testing.assert_array_equal(agreement.x, result.agreement.agreement[:, 0])
    told = VIEW.tell(result, say)
    assert told.count("\n|") == 2 + len(result.rows) - 1 + 1
    assert all(row in told for row in LS)
