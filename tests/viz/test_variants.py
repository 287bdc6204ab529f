"""Every mixer, option and transplant of tables 5 to 9: traced, sent to the browser, looked into by the views."""

from functools import cache

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import lsnet
from lsnet import InputError
from lsnet.mixers import MIXERS, LSConv
from lsnet.ops import ska_reference
from lsnet.preprocess import Preprocess
from lsnet.transplant import transplant
from lsnet.weights import WeightsCard
from tests.viz.test_payload import read
from viz.capture import MOST_WEIGHTS, capture, stride_of, taps_of, trace_image
from viz.examples import EXAMPLES_DIR
from viz.images import load_picture
from viz.payload import encode_payload
from viz.results import Result
from viz.subject import Subject
from viz.texts import texts_in
from viz.trace import ForwardTrace
from viz.views import VIEWS, View
from viz.views.settings import Choice, checked

PHOTO = load_picture(EXAMPLES_DIR / "coffee.jpg")
SIDE = 96

OPTIONS = (
    "kernel_large=1",
    "kernel_large=9",
    "kernel_small=1",
    "kernel_small=5",
    "channels_per_set=1",
    "ska=false",
    "dw=false",
    "se=false",
)
NAMES = (*(f"lsnet_n?mixer={mixer}" for mixer in MIXERS), *(f"lsnet_n?{option}" for option in OPTIONS), "ls_resnet50")


@cache
def predictor_of(name: str) -> lsnet.Predictor:
    return lsnet.load_predictor(f"untrained/{name}", device="cpu").framed(SIDE)


@cache
def trace_of(name: str) -> ForwardTrace:
    return trace_image(predictor_of(name), PHOTO)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_browser_gets_is_what_was_recorded(name: str) -> None:
    trace = trace_of(name)
    _, blocks, _ = read(encode_payload(trace, PHOTO, model=name))
    assert [block["name"] for block in blocks] == list(trace.blocks)
    for sent, block in zip(blocks, trace.blocks.values(), strict=True):
        assert (sent["kind"], sent["mixer"]) == (block.kind, block.mixer)
        assert (sent["kernelLarge"], sent["kernelSmall"]) == (block.kernel_large, block.kernel_small)
        assert ("kernels" in sent, "attention" in sent) == (block.kernels is not None, block.attention is not None)
        if block.kernels is not None:
            expected = block.kernels.permute(2, 3, 0, 1).numpy()
            assert sent["kernels"].shape[:2] == ((1, 1) if block.one_kernel_for_all else block.grid)
            assert np.array_equal(np.broadcast_to(sent["kernels"], expected.shape), expected)
            assert block.kernels.shape[1] == block.kernel_small**2
            _assert_equation(sent, np.broadcast_to(sent["kernels"], expected.shape))
        if block.attention is not None:
            assert np.array_equal(sent["attention"], block.attention.numpy())


def _assert_equation(sent: dict, kernels: np.ndarray) -> None:
    """What the inspector writes out: Σ input · weight, with zeros beyond the edge, is what the model wrote."""
    count, side = len(sent["channels"]), sent["kernelSmall"]
    padded = np.pad(sent["inputs"], ((0, 0), *[(side // 2, side // 2)] * 2))
    for row, column in ((0, 0), (sent["grid"][0] - 1, sent["grid"][1] // 2)):
        windows = padded[:, row : row + side, column : column + side].reshape(count, -1)
        own = kernels[row, column][np.arange(count) % kernels.shape[2]]
        scale = np.abs(windows * own).sum(1)
        error = np.abs((windows * own).sum(1) - sent["aggregated"][:, row, column])
        assert (error <= 1e-5 * scale + 1e-6).all()


def test_windows_are_those_of_the_variant() -> None:
    windows = {
        "lsnet_n?kernel_large=9&kernel_small=5": (9, 5),
        "lsnet_n?mixer=small": (1, 3),
        "lsnet_n?mixer=involution": (1, 7),
        "lsnet_n?mixer=cot": (3, 3),
        "lsnet_n?mixer=condconv": (0, 3),
        "lsnet_n?mixer=static&kernel_small=5": (0, 5),
        "lsnet_n?mixer=repmixer": (0, 3),
        "lsnet_n?ska=false": (7, 3),
        "lsnet_n?mixer=window": (0, 0),
        "lsnet_n?mixer=aff": (0, 0),
        "lsnet_n?mixer=none": (0, 0),
    }
    for name, expected in windows.items():
        block = trace_image(predictor_of(name), PHOTO, size=64).block("blocks1.1")
        assert (block.kernel_large, block.kernel_small) == expected, name


def test_a_folded_network_has_the_windows_of_the_plain_one() -> None:
    for mixer in ("ls", "static", "repmixer"):
        predictor = lsnet.load_predictor(f"untrained/lsnet_n?mixer={mixer}", device="cpu").framed(64)
        before = trace_image(predictor, PHOTO).blocks
        predictor.lsnet.fuse()
        for name, block in trace_image(predictor, PHOTO).blocks.items():
            old = before[name]
            assert (block.kernel_large, block.kernel_small, block.mixer, block.kind) == (
                (old.kernel_large, old.kernel_small, old.mixer, old.kind)
            )


def test_attention_that_is_too_large_is_not_kept_and_a_view_says_so() -> None:
    predictor = predictor_of("lsnet_n?mixer=window")
    trace = trace_image(predictor, PHOTO, most_weights=12**4 - 1)  # one head over the 12 × 12 tokens of stage 1
    assert trace.block("blocks1.1").attention is None
    assert trace.block("blocks2.3").attention is not None
    assert trace_of("lsnet_n?mixer=window").block("blocks1.1").attention is not None
    assert MOST_WEIGHTS > 12**4
    view = next(view for view in VIEWS if view.name == "attention")
    subject = Subject(predictor, PHOTO, trace, "blocks1.1", (1, 1))
    with pytest.raises(InputError) as caught:
        view.result(subject, checked(view.settings, {}, view.name, subject, texts_in("en")))
    assert caught.value.code == "attention.not_kept"


def looks(view: View) -> list[dict[str, object]]:
    """Every way of looking that a view's first choice offers; of those that take long, the first."""
    first = view.settings[0] if view.settings else None
    if (
        view.name in ("attribution", "surgery", "corruption")
        or not isinstance(first, Choice)
        or callable(first.options)
    ):
        return [{}]
    return [{first.name: option} for option in first.options if option != "siblings"]


LIGHT = tuple(view for view in VIEWS if view.name in ("kernels", "attention", "comparison", "cost"))
HEAVY = {"involution": "dynamic", "condconv": "dynamic", "window": "attention", "aff": "global", "none": "none"}


def open_view(view: View, name: str, block: str, given: dict[str, object]) -> Result | str:
    """The result, drawn and told; or the code of the sentence that says why there is none."""
    subject = Subject(predictor_of(name), PHOTO, trace_of(name), block, (1, 1))
    try:
        result = view.result(subject, checked(view.settings, given, view.name, subject, texts_in("en")))
    except InputError as error:
        return error.code
    assert all(np.isfinite(array).all() for array in result.arrays().values())
    view.draw(result, texts_in("zh-CN"), True)
    view.tell(result, texts_in("en"))
    return result


@pytest.mark.parametrize("name", NAMES)
def test_views_open_on_the_mixer_or_say_why_not(name: str) -> None:
    block = next(block for block in trace_of(name).blocks.values() if block.name in ("blocks1.1", "layer1.0.conv2.ls"))
    answers = {
        (view.name, *given.values()): open_view(view, name, block.name, given)
        for view in LIGHT
        if block.kind in view.kinds
        for given in looks(view)
    }
    assert ("kernels" in {key[0] for key in answers}) == (block.kernels is not None)
    assert ("attention" in {key[0] for key in answers}) == (block.attention is not None)
    said = {key: answer for key, answer in answers.items() if isinstance(answer, str)}
    assert all(f"error.{code}" in texts_in("zh-CN") for code in said.values())
    expected = {}
    if name == "ls_resnet50":
        expected = dict.fromkeys([("cost", "scaling"), ("cost", "model")], "network.not_lsnet")
    elif block.kind == "attention":
        expected = dict.fromkeys([("attention", "bias"), ("attention", "resolution")], "attention.msa_only")
    assert said == expected


@pytest.mark.parametrize("mixer", HEAVY)
@pytest.mark.parametrize("view", [view for view in VIEWS if view not in LIGHT], ids=lambda view: view.name)
def test_slow_views_open_on_one_mixer_of_each_kind(view: View, mixer: str) -> None:
    if HEAVY[mixer] not in view.kinds:
        pytest.skip("this view is not about such blocks")
    answer = open_view(view, f"lsnet_n?mixer={mixer}", "blocks1.1", {"check": "none"})
    assert answer == "surgery.nothing" if (view.name, mixer) == ("surgery", "condconv") else isinstance(answer, Result)


def test_surgery_replaces_the_kernels_of_an_involution() -> None:
    """The mean kernel in every token is the aggregation with that one kernel, computed here by the reference."""
    name = "lsnet_n?mixer=involution"
    view = next(view for view in VIEWS if view.name == "surgery")
    result = open_view(view, name, "blocks1.1", {"operation": "mean"})
    assert not isinstance(result, str)
    predictor, block = predictor_of(name), trace_of(name).block("blocks1.1")
    module = predictor.model.get_submodule("blocks1.1")
    mean = block.kernels.mean((2, 3), keepdim=True).expand_as(block.kernels)
    with torch.no_grad():
        mixed = module.mixer.bn(ska_reference(block.inputs[None], mean[None].contiguous())) + block.inputs[None]
        expected = module.ffn(mixed)[0]
    change = ((expected - block.features).norm() / block.features.norm()).item()
    at = result.blocks.index("blocks1.1")
    assert result.feature_change[at] == pytest.approx(change, rel=1e-3)


def test_a_transplant_is_traced_at_its_ls_convolutions() -> None:
    trace, model = trace_of("ls_resnet50"), predictor_of("ls_resnet50").model
    names = [name for name, module in model.named_modules() if isinstance(module, LSConv)]
    assert list(trace.blocks) == names
    assert len(names) == 16
    strides = [block.stride for block in trace.blocks.values()]
    assert strides == [4] * 3 + [8] * 4 + [16] * 6 + [32] * 3  # ResNet-50's stages
    assert [block.stage for block in trace.blocks.values()] == [1] * 3 + [2] * 4 + [3] * 6 + [4] * 3
    assert {block.grid for block in trace.blocks.values()} == {(24, 24), (12, 12), (6, 6), (3, 3)}
    assert "untrained" in trace.weights
    with capture(model, taps_of(model)):
        pass
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_vision_transformer_of_table_9_at_other_sizes() -> None:
    predictor = predictor_of("ls_deit_tiny")
    for size, side in ((224, 14), (160, 10)):
        blocks = trace_image(predictor, PHOTO, size=size).blocks
        assert {(block.stride, block.grid) for block in blocks.values()} == {(16, (side, side))}
        assert len(blocks) == 12
    with pytest.raises(InputError) as caught:
        trace_image(predictor, PHOTO, size=160, mode="whole")
    assert caught.value.code == "network.square"


def test_any_network_of_timm_with_transplants_can_be_traced() -> None:
    model = timm.create_model("resnet18", num_classes=4)
    replaced = transplant(model, "layer[34].*.conv2")
    labels = predictor_of("ls_resnet50").classes[:4]
    card = WeightsCard("resnet18", classes=labels, trained=False, source="own")
    predictor = lsnet.Predictor(model.eval(), Preprocess(), card, torch.device("cpu"))
    trace = trace_image(predictor, PHOTO, size=72)
    assert tuple(trace.blocks) == tuple(f"{name}.ls" for name in replaced)
    assert [(block.stride, block.grid) for block in trace.blocks.values()] == [(16, (5, 5))] * 2 + [(32, (3, 3))] * 2
    only = trace_image(predictor, PHOTO, size=72, blocks=[f"{replaced[1]}.ls"])
    assert [name for name, block in only.blocks.items() if block.tensors()] == [f"{replaced[1]}.ls"]
    assert [block.grid for block in only.blocks.values()] == [block.grid for block in trace.blocks.values()]


@pytest.mark.parametrize(
    ("size", "grid", "stride"),
    [
        ((224, 224), (56, 56), 4),
        ((72, 72), (2, 2), 64),  # 72 / 64, rounded up
        ((72, 100), (5, 7), 16),
        ((224, 224), (16, 16), 14),  # patches of a vision transformer
    ],
)
def test_the_stride_of_a_grid(size: tuple[int, int], grid: tuple[int, int], stride: int) -> None:
    assert stride_of(size, grid) == stride


def test_a_picture_of_another_size_is_no_matter(photo: Image.Image) -> None:
    trace = trace_image(predictor_of("ls_resnet50"), photo.resize((90, 60)), mode="whole", size=64)
    assert trace.block("layer2.0.conv2.ls").grid == (8, 12)
