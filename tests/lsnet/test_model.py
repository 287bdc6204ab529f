"""The networks: counts from the paper's facts, numbers against a second implementation, and every way to use them."""

import copy
import shutil

import pytest
import timm
import torch
from torch import Tensor, nn

import lsnet
from lsnet.config import VARIANTS, LSNetConfig
from lsnet.mixers import MIXERS, MSA, LSConv, relative_offsets, resize_bias_table
from lsnet.model import LSNet
from tests.conftest import randomize
from tests.lsnet.authors_forward import authors_forward

# Parameters in training form, entries of the state dict, fused parameters in millions (cut after two decimals).
RELEASED = {
    "lsnet_t": (11_409_832, 696, 11.37),
    "lsnet_t_distill": (11_795_600, 703, None),
    "lsnet_s": (16_146_304, 724, 16.09),
    "lsnet_s_distill": (16_596_200, 731, None),
    "lsnet_b": (23_313_608, 964, 23.24),
    "lsnet_b_distill": (23_827_632, 971, None),
}
NAMES = [f"lsnet_{variant}" for variant in VARIANTS]


def randomized(name: str, **options: object) -> LSNet:
    torch.manual_seed(0)
    return randomize(timm.create_model(name, **options))


def pictures(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def relative_error(value: Tensor, expected: Tensor) -> float:
    return ((value.double() - expected.double()).abs().max() / expected.double().abs().max()).item()


@pytest.fixture(scope="module", params=NAMES)
def network(request: pytest.FixtureRequest) -> LSNet:
    return randomized(request.param, num_classes=10)


@pytest.mark.parametrize("name", RELEASED)
def test_parameters_and_checkpoint_entries_as_released(name: str) -> None:
    model = timm.create_model(name)
    parameters, entries, fused = RELEASED[name]
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(model.state_dict()) == entries
    if fused is not None:
        folded = sum(p.numel() for p in model.eval().fuse().parameters())
        assert int(folded / 1e4) / 100 == fused


def test_the_small_one_has_ls_convs_in_three_stages_and_attention_in_the_last() -> None:
    model = timm.create_model("lsnet_n")
    kinds = {(stage, block.kind) for _, stage, block in model.named_blocks()}
    assert {(1, "ls"), (2, "ls"), (3, "ls"), (4, "msa")} <= kinds
    assert 2e6 < sum(p.numel() for p in model.parameters()) < 3e6


@pytest.mark.parametrize("name", [*RELEASED, "lsnet_n"])
def test_logits_of_a_second_implementation(name: str) -> None:
    """Written from the checkpoint's keys alone, in float64; this is what "gives the authors' numbers" rests on."""
    model = randomized(name)
    x = pictures(2, 3, 224, 224)
    with torch.no_grad():
        expected = authors_forward(model.state_dict(), x)
        assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.abs().max()  # the picture matters
        assert relative_error(copy.deepcopy(model).double()(x.double()), expected) < 1e-10
        assert relative_error(model(x), expected) < 1e-4


def test_a_checkpoint_loads_before_or_after_eval_and_to(network: LSNet) -> None:
    x = pictures(1, 3, 224, 224)
    state = network.state_dict()
    with torch.no_grad():
        expected = network(x)
        for prepare in (lambda m: m, lambda m: m.eval(), lambda m: m.to("cpu").eval(), lambda m: m.eval().train()):
            model = prepare(LSNet(network.config))
            model.load_state_dict(state, strict=True)
            assert torch.equal(model.eval()(x), expected)


def test_moving_after_eval_moves_the_attention_bias_too() -> None:
    model = randomized("lsnet_n").to(torch.float64)
    assert model(pictures(1, 3, 64, 64).double()).dtype == torch.float64


@pytest.mark.parametrize("size", [(32, 32), (33, 65), (192, 320), (224, 224), (448, 448), (100, 1000)])
def test_any_input_side_from_32(network: LSNet, size: tuple[int, int]) -> None:
    with torch.no_grad():
        logits = network(pictures(1, 3, *size))
    assert logits.shape == (1, 10)
    assert torch.isfinite(logits).all()


def test_at_224_no_bias_is_interpolated(monkeypatch: pytest.MonkeyPatch, network: LSNet) -> None:
    monkeypatch.setattr("lsnet.mixers.msa.resize_bias_table", lambda *args: pytest.fail("interpolated"))
    with torch.no_grad():
        network(pictures(1, 3, 224, 224))
        network(pictures(1, 3, 193, 256))  # the same 4 × 4 grid


def test_relative_offsets_by_hand() -> None:
    """A 1 × 2 grid has offsets 0 and 1; in a 2 × 2 grid the diagonal neighbour is offset (1, 1), entry 3."""
    assert relative_offsets(1, 2).tolist() == [[0, 1], [1, 0]]
    assert relative_offsets(2, 2).tolist() == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]


def test_bias_interpolation_by_hand() -> None:
    """Offsets 0 and 3 meet their counterparts; a table linear in the offset stays linear, rows apart from columns."""
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    table = (10 * rows + columns).reshape(1, 16)
    resized = resize_bias_table(table, (4, 4), (7, 2)).reshape(7, 2)
    assert torch.allclose(resized[:, 0], 10 * torch.linspace(0, 3, 7))
    assert torch.allclose(resized[0], torch.tensor([0.0, 3.0]))


def test_interpolated_attention_bias_depends_on_offset_only() -> None:
    msa = MSA(64, 4, 16, (4, 4))
    nn.init.normal_(msa.attention_biases)
    bias = msa.bias(3, 5).detach().view(4, 3, 5, 3, 5)
    assert torch.equal(bias[:, 0, 0, 1, 2], bias[:, 1, 4, 2, 2])
    assert torch.equal(bias[:, 0, 0, 0, 0], msa.attention_biases[:, 0])


def test_bias_tables_of_the_detection_files_load() -> None:
    """They store 14 × 14 offsets; a 224-pixel network takes them resampled, a large one as they are."""
    large = randomized("lsnet_n", img_size=896)
    assert large.state_dict()["blocks4.3.mixer.m.attention_biases"].shape == (4, 196)
    small = timm.create_model("lsnet_n").eval()
    small.load_state_dict(large.state_dict(), strict=True)
    x = pictures(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(small(x), large(x), rtol=1e-5, atol=1e-5)


def test_fusing_keeps_the_logits(network: LSNet) -> None:
    x = pictures(2, 3, 224, 224)
    fused = copy.deepcopy(network).fuse()
    with torch.no_grad():
        assert relative_error(fused(x), network(x)) < 1e-4
    assert not any(isinstance(m, nn.BatchNorm1d) for m in fused.modules())
    norms = [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == sum(isinstance(m, LSConv) for m in fused.modules())  # those after SKA have no conv before


def test_fusing_is_exact_in_float64() -> None:
    model = randomized("lsnet_n").double()
    x = pictures(1, 3, 96, 96).double()
    with torch.no_grad():
        assert relative_error(copy.deepcopy(model).fuse()(x), model(x)) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    model = randomized("lsnet_n", num_classes=10)
    x = pictures(2, 3, 96, 96)
    with torch.no_grad():
        expected = model(x)
        half = model.to(dtype)(x.to(dtype))
    assert half.dtype == dtype
    assert relative_error(half, expected) < 0.1


def test_autocast_trains() -> None:
    model = randomized("lsnet_n", num_classes=10).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(pictures(2, 3, 64, 64)).square().mean()
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_channels_last(network: LSNet) -> None:
    x = pictures(1, 3, 96, 96)
    with torch.no_grad():
        expected = network(x)
        last = copy.deepcopy(network).to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-4)


def test_compiles_without_graph_breaks() -> None:
    """The eager backend traces the same graph as the default one and needs no compiler on this machine."""
    model = randomized("lsnet_n", num_classes=10)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x = pictures(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x))


def test_exports() -> None:
    model = randomized("lsnet_n", num_classes=10)
    x = pictures(2, 3, 64, 64)
    with torch.no_grad():
        exported = torch.export.export(model, (x,))
        torch.testing.assert_close(exported.module()(x), model(x))
    operators = [node.target for node in exported.graph.nodes]
    blocks = sum(block.kind == "ls" for _, _, block in model.named_blocks())
    assert operators.count(torch.ops.lsnet.ska.default) == blocks


def test_exports_to_onnx_with_standard_operators_only() -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is a development requirement")
    model = randomized("lsnet_n", num_classes=10)
    x = pictures(1, 3, 64, 64)
    program = torch.onnx.export(model, (x,), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), model(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_mixer_trains(mixer: str) -> None:
    model = timm.create_model("lsnet_n", mixer=mixer, num_classes=3, drop_path_rate=0.1)
    model(pictures(2, 3, 64, 64)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_mixer_keeps_the_grid(mixer: str) -> None:
    model = timm.create_model("lsnet_n", mixer=mixer, features_only=True).eval()
    with torch.no_grad():
        shapes = [tuple(f.shape[1:]) for f in model(pictures(1, 3, 100, 160))]
    assert shapes == [(48, 13, 20), (96, 7, 10), (192, 4, 5), (256, 2, 3)]


def test_timm_finds_the_models() -> None:
    assert set(timm.list_models("lsnet_*")) == {*RELEASED, "lsnet_n"}
    assert timm.is_model_pretrained("lsnet_t")
    assert not timm.is_model_pretrained("lsnet_n")


@pytest.mark.parametrize("name", [*RELEASED, "lsnet_n"])
def test_names_in_the_pretrained_config_exist(name: str) -> None:
    model = timm.create_model(name)
    classifiers = model.pretrained_cfg["classifier"]
    for module in (classifiers,) if isinstance(classifiers, str) else classifiers:
        assert isinstance(model.get_submodule(module), nn.Linear)
    assert isinstance(model.get_submodule(model.pretrained_cfg["first_conv"]), nn.Conv2d)


def test_options_reach_the_model() -> None:
    model = timm.create_model("lsnet_t", num_classes=7, in_chans=1, img_size=448, drop_path_rate=0.2)
    assert (model.config.num_classes, model.config.in_chans, model.config.img_size) == (7, 1, 448)
    assert model.eval()(pictures(1, 1, 64, 64)).shape == (1, 7)
    assert list(model.named_blocks())[-1][2].ffn.drop_path.drop_prob == pytest.approx(0.2)


def test_an_unknown_option_is_an_error_not_silence() -> None:
    with pytest.raises(TypeError, match="mixers"):
        timm.create_model("lsnet_t", mixers="ls")


@pytest.mark.parametrize("indices", [None, 2, [0, 3], [1]])
def test_features_only_and_forward_intermediates_agree(network: LSNet, indices: int | list[int] | None) -> None:
    x = pictures(1, 3, 64, 96)
    with torch.no_grad():
        last, features = network.forward_intermediates(x, indices)
        assert torch.equal(last, network.forward_features(x))
        full = network.forward_intermediates(x, intermediates_only=True)
        chosen = {None: [0, 1, 2, 3], 2: [2, 3]}.get(indices, indices) if not isinstance(indices, list) else indices
        assert len(features) == len(chosen)
        assert all(torch.equal(f, full[i]) for f, i in zip(features, chosen, strict=True))


def test_checkpoint_path_and_features_only_out_indices(tmp_path: pytest.TempPathFactory) -> None:
    path = f"{tmp_path}/n.pth"
    model = randomized("lsnet_n", num_classes=10)
    torch.save(model.state_dict(), path)
    again = timm.create_model("lsnet_n", num_classes=10, checkpoint_path=path).eval()
    x = pictures(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
    features = timm.create_model("lsnet_n", features_only=True, out_indices=(1, 3))
    assert features.feature_info.channels() == [96, 256]
    assert features.feature_info.reduction() == [16, 64]


def test_classifier_interface() -> None:
    model = timm.create_model("lsnet_t_distill", num_classes=5).eval()
    x = pictures(1, 3, 64, 64)
    assert len(model.get_classifier()) == 2
    model.reset_classifier(9)
    assert model(x).shape == (1, 9)
    features = model.forward_features(x)
    assert torch.equal(model.forward_head(features, pre_logits=True), features.mean((2, 3)))
    model.reset_classifier(0)
    assert model(x).shape == (1, 384)
    assert model.no_weight_decay() == {f"blocks4.{i}.mixer.m.attention_biases" for i in (3, 5, 7, 9, 11)}


def test_a_distilled_network_returns_both_heads_only_when_told() -> None:
    model = timm.create_model("lsnet_t_distill", num_classes=5)
    x = pictures(2, 3, 64, 64)
    assert model(x).shape == (2, 5)
    model.set_distilled_training()
    logits, distilled = model(x)
    assert logits.shape == distilled.shape == (2, 5)
    assert model.eval()(x).shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num_classes": -1}, "num_classes >= 0"),
        ({"img_size": 16}, "at least 32"),
        ({"kernel_large": 4}, "kernel_large to be odd"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate in \[0, 1\)"),
        ({"channels_per_set": 40}, "divisible by 80"),
    ],
)
def test_bad_configurations_are_told(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LSNet(VARIANTS["t"], **options)


def test_importing_lsnet_is_enough_and_stays_light() -> None:
    """No gradio, plotly, numba or triton for someone who only wants the model."""
    import subprocess
    import sys

    code = "import sys, lsnet; print([m for m in ('gradio', 'plotly', 'numba', 'viz') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert isinstance(lsnet.VARIANTS["t"], LSNetConfig)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch's inductor needs a C++ compiler on the CPU")
def test_compiles_to_native_code() -> None:
    """The default backend, on one LS conv, with gradients."""
    torch.manual_seed(0)
    layer = LSConv(32).eval()
    compiled = torch.compile(layer, fullgraph=True)
    x = pictures(1, 32, 8, 8)
    expected, value = (function(x.requires_grad_()) for function in (layer, compiled))
    torch.testing.assert_close(value, expected)
    direction = torch.randn_like(expected)
    (grad,), (expected_grad,) = (torch.autograd.grad(y, x, direction) for y in (value, expected))
    torch.testing.assert_close(grad, expected_grad, rtol=1e-4, atol=1e-5)
