"""Numbers that lessons compute when they are shown, against other ways to compute them."""

import re
from dataclasses import replace

import numpy as np
import pytest

import lsnet
from lsnet.complexity import counted_cost
from viz.capture import trace_image
from viz.examples import examples
from viz.lesson_file import State
from viz.lessons import lessons
from viz.quantities import QUANTITIES, Here, filled, quantities_in
from viz.texts import LANGUAGES
from viz.trace import ForwardTrace

CAT = State("cat", "blocks2.3", (172, 110))


@pytest.fixture(scope="module")
def predictor() -> lsnet.Predictor:
    return lsnet.load_predictor("untrained/lsnet_t", device="cpu")


@pytest.fixture(scope="module")
def trace(predictor: lsnet.Predictor) -> ForwardTrace:
    path = next(example.path for example in examples() if example.id == "cat")
    return trace_image(predictor, path, blocks=["blocks2.2", "blocks2.3", "blocks3.3", "blocks4.3"])


def value(name: str, trace: ForwardTrace, block: str = "blocks2.3") -> str:
    return QUANTITIES[name](Here(trace, replace(CAT, block=block)))


def matrix(latex: str) -> np.ndarray:
    inner = re.fullmatch(r"\\begin\{bmatrix\} (.*) \\end\{bmatrix\}", latex)
    assert inner
    return np.array([[number(cell) for cell in row.split("&")] for row in inner[1].split(r"\\")])


def number(latex: str) -> float:
    mantissa, _, exponent = latex.strip().partition(r" \cdot 10^")
    return float(mantissa) * 10.0 ** int(exponent.strip("{}") or 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_step_can_be_filled_in(language: str, trace: ForwardTrace) -> None:
    for lesson in lessons(language):
        for step in lesson.steps:
            # One trace stands for all photos: what is computed differs, not whether it can be.
            state = replace(step.state, px=CAT.px)
            for text in (step.text, step.try_this, step.question or "", step.answer or ""):
                done = filled(text, trace, state)
                assert quantities_in(done) == ()
                assert not re.search(r"nan|inf\b", done)


def test_sizes_worked_out_by_hand(trace: ForwardTrace) -> None:
    # The cat is resized to 384 × 256 and its centre cut out: (172.5, 110.5) becomes (66.9, 78.3) of 224 pixels.
    expected = {
        "input": "224 × 224",
        "grid": "14 × 14",
        "tokens": "196",
        "stride": "16",
        "channels": "128",
        "half_channels": "64",
        "row": "4",
        "column": "4",
        "perception_pixels": "112",
        "aggregation_pixels": "48",
        "perception_share": "25%",
        "kernel_sets": "16",
        "channels_per_set": "8",
        "channels_of_set_zero": "0, 16, 32, 48, 64, 80, 96, 112",
        "weights_per_token": "144",
        "weights_per_picture": "28,224",
        "ls_macs": "5,055,232",
        "static_macs": "225,792",
    }
    assert {name: value(name, trace) for name in expected} == expected
    expected = {"tokens": "16", "heads": "4", "even_attention": "6.25%", "attention_macs": "5,628,928"}
    assert {name: value(name, trace, "blocks4.3") for name in expected} == expected
    assert value("quadratic_share", trace, "blocks4.3") == f"{16**2 * (384 + 64) / 5_628_928:.1%}"


def test_costs_are_those_that_are_counted(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    ls, msa = (predictor.model.get_submodule(f"{block}.mixer") for block in ("blocks2.3", "blocks4.3"))
    assert value("ls_macs", trace) == f"{counted_cost(ls, (1, 128, 14, 14)).macs:,}"
    assert value("attention_macs", trace, "blocks4.3") == f"{counted_cost(msa, (1, 384, 4, 4)).macs:,}"


def test_the_equation_of_channel_zero(trace: ForwardTrace) -> None:
    block = trace.blocks["blocks2.3"]
    weights, inputs = block.kernels[0, :, 4, 4].reshape(3, 3).numpy(), block.inputs[0, 3:6, 3:6].numpy()
    np.testing.assert_allclose(matrix(value("kernel", trace)), weights, rtol=6e-3)
    np.testing.assert_allclose(matrix(value("inputs", trace)), inputs, rtol=6e-3)
    assert number(value("aggregated", trace)) == pytest.approx(float((weights * inputs).sum()), rel=6e-3)
    lines = value("products", trace)
    factors = [number(text) for text in re.findall(r"\(([^()]*)\)", lines)]
    np.testing.assert_allclose(factors[::2], weights.ravel(), rtol=6e-3)
    np.testing.assert_allclose(factors[1::2], inputs.ravel(), rtol=6e-3)
    total = re.findall(r"&= ([^(&]*) \\end", lines)[0]
    assert total == value("aggregated", trace)
    assert value("negative_weights", trace) == str(sum(w < 0 for w in weights.ravel().tolist()))
    assert float(value("weight_sum", trace).replace("−", "-")) == pytest.approx(weights.sum(), abs=5.1e-3)


def test_beyond_the_corner_are_zeros(trace: ForwardTrace) -> None:
    state = next(step.state for step in lessons("en")[1].steps if step.name == "at-the-edge")
    assert (state.img, QUANTITIES["row"](Here(trace, state)), QUANTITIES["column"](Here(trace, state))) == (
        "cat",
        "0",
        "0",
    )
    inputs = matrix(QUANTITIES["inputs"](Here(trace, state)))
    assert (inputs == 0).tolist() == [[True] * 3, [True, False, False], [True, False, False]]


def test_shares(trace: ForwardTrace) -> None:
    kernels = trace.blocks["blocks2.3"].kernels.double().numpy()
    from_mean = kernels - kernels.mean((2, 3), keepdims=True)
    assert value("static_share", trace) == f"{1 - (from_mean**2).sum() / (kernels**2).sum():.1%}"
    row = trace.blocks["blocks4.3"].attention[:, 4 * 1 + 1]  # 64 pixels a token: row 1, column 1
    assert value("largest_attention", trace, "blocks4.3") == f"{row.max():.2%}"


def test_what_cannot_be_computed_says_why(trace: ForwardTrace) -> None:
    with pytest.raises(ValueError, match=r"expected one of input, .* got 'colour'"):
        filled("{{colour}}", trace, CAT)
    with pytest.raises(ValueError, match=r"expected a block with kernels, got 'blocks2\.2'"):
        filled("{{perception_pixels}}", trace, replace(CAT, block="blocks2.2"))
    with pytest.raises(ValueError, match=r"expected a pixel that the network sees, got \(5, 5\)"):
        filled("{{row}}", trace, replace(CAT, px=(5, 5)))
    with pytest.raises(KeyError, match=r"blocks9\.9"):
        filled("{{grid}}", trace, replace(CAT, block="blocks9.9"))
