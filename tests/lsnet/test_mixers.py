"""Token mixers: what all of them promise, on grids of any size."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lsnet import layers
from lsnet.config import VARIANTS, LSNetConfig
from lsnet.mixers import MIXERS, MSA, kind_of, taps_of, windows_of
from lsnet.mixers.windows import Windows
from lsnet.model import LSNet
from lsnet.ops import ska_reference
from tests.conftest import randomize

CONFIG = VARIANTS["n"]
DIM = CONFIG.dims[0]
GRIDS = [(7, 7), (4, 4), (1, 1), (5, 9), (15, 8), (28, 28)]
NAMES = [*MIXERS, "without ska"]
FROM_PICTURE = {"condconv", "dyconv", "dcd", "odconv"}  # one kernel per channel and picture


def build(name: str, stage: int = 1) -> nn.Module:
    """A mixer with random weights, float64; index 3 is where windows are shifted."""
    config: LSNetConfig = replace(CONFIG, ska=False) if name == "without ska" else CONFIG
    torch.manual_seed(1)
    mixer = randomize(MIXERS["ls" if name == "without ska" else name](config, stage, 0.0, 3)).double()
    for key, parameter in mixer.named_parameters():
        if "gamma" in key:  # layer scales, which begin at almost nothing
            nn.init.uniform_(parameter, 0.5, 1.0)
    return mixer


def maps(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def recorded(mixer: nn.Module, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """All that a mixer lets be seen of a forward pass, arranged, and its output."""
    found: dict[str, Tensor] = {}
    for name, tap in taps_of(mixer, "").items():

        def keep(module: nn.Module, args: tuple[Tensor, ...], output: Tensor | None = None, name: str = name) -> None:
            found[name] = args[0] if output is None else output

        module = mixer.get_submodule(tap.path)
        module.register_forward_pre_hook(keep) if tap.side == "input" else module.register_forward_hook(keep)
    with torch.no_grad():
        output = mixer(x)
    grid = (x.shape[2], x.shape[3])
    for name, tap in taps_of(mixer, "").items():
        found[name] = tap.arrange(found[name], grid) if tap.arrange else found[name]
    return found, output


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_any_grid_and_pictures_apart(name: str, grid: tuple[int, int]) -> None:
    """The grid is kept, and a picture's result does not depend on what else is in the batch."""
    mixer, x = build(name), maps(2, DIM, *grid)
    with torch.no_grad():
        y = mixer(x)
        assert y.shape == x.shape
        assert torch.isfinite(y).all()
        torch.testing.assert_close(mixer(x[1:]), y[1:])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_it_mixes_and_gradients_reach_everything(name: str) -> None:
    mixer, x = build(name).train(), maps(2, DIM, 9, 8).requires_grad_()
    y = mixer(x)
    assert (y - x).abs().max() > 1e-3
    (y * maps(*y.shape)).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    for key, parameter in mixer.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
    assert sum(bool(p.grad.any()) for p in mixer.parameters()) > 0.7 * len(list(mixer.parameters()))


@pytest.mark.parametrize("name", NAMES)
def test_fusing_keeps_the_numbers_and_what_can_be_seen(name: str) -> None:
    mixer, x = build(name, stage=2), maps(2, CONFIG.dims[1], 9, 8)
    holder = nn.Sequential(copy.deepcopy(mixer))
    layers.fuse(holder)
    with torch.no_grad():
        torch.testing.assert_close(holder[0](x), mixer(x), rtol=1e-9, atol=1e-11)
    for tap in taps_of(holder[0], "").values():
        assert holder[0].get_submodule(tap.path) is not None
    if name in ("repmixer", "static", "without ska"):
        assert not any(isinstance(module, nn.BatchNorm2d) for module in holder.modules())


@pytest.mark.parametrize("name", NAMES)
def test_weights_move_to_a_network_built_for_another_size(name: str) -> None:
    options = {"mixer": "ls" if name == "without ska" else name, "ska": name != "without ska", "num_classes": 4}
    torch.manual_seed(0)
    model = randomize(LSNet(CONFIG, img_size=160, **options))
    again = LSNet(CONFIG, img_size=160, **options).eval()
    again.load_state_dict(model.state_dict(), strict=True)
    x = maps(1, 3, 96, 64).float()
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
    other = LSNet(CONFIG, img_size=224, **options).state_dict()
    differ = {key for key, value in model.state_dict().items() if other[key].shape != value.shape}
    assert all(key.endswith(("attention_biases", "attention_bias_idxs")) for key in differ)
    assert name == "attention" or all(key.startswith("blocks4") for key in differ)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_and_autocast(name: str, dtype: torch.dtype) -> None:
    mixer, x = build(name), maps(2, DIM, 8, 9)
    with torch.no_grad():
        expected = mixer(x)
        scale = expected.abs().max()
        half = copy.deepcopy(mixer).to(dtype)(x.to(dtype))
        assert half.dtype == dtype
        assert (half.double() - expected).abs().max() < 0.05 * scale
        with torch.autocast("cpu", dtype):
            assert (mixer.float()(x.float()).double() - expected).abs().max() < 0.05 * scale


@pytest.mark.parametrize("name", ["cga", "aff", "odconv"])  # windows, spectra, kernels for a picture
def test_it_compiles_without_graph_breaks(name: str) -> None:
    mixer, x = build(name), maps(2, DIM, 8, 9)
    torch._dynamo.reset()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(mixer, backend="aot_eager", fullgraph=True)(x), mixer(x))


@pytest.mark.parametrize("grid", [(7, 7), (5, 9), (15, 8)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_is_what_was_computed(name: str, grid: tuple[int, int]) -> None:
    """Kernels, filters and attention are in the common form, and the first two give the output seen."""
    mixer, x = build(name), maps(2, DIM, *grid)
    seen, output = recorded(mixer, x)
    count = grid[0] * grid[1]
    kind = kind_of(mixer)
    assert set(seen) <= {"inputs", "kernels", "context", "aggregated", "attention", "filters"}
    assert ("kernels" in seen) == (kind in ("ls", "dynamic"))
    assert ("attention" in seen) == (kind in ("msa", "attention"))
    if "kernels" in seen:
        large, small = windows_of(mixer)
        assert seen["kernels"].shape[2:] == (small**2, *grid)
        assert (large == 0) == (name in FROM_PICTURE)
        torch.testing.assert_close(ska_reference(seen["inputs"], seen["kernels"].contiguous()), seen["aggregated"])
    if "attention" in seen:
        attention = seen["attention"]
        assert attention.shape == (2, attention.shape[1], count, count)
        assert (attention >= 0).all()
        torch.testing.assert_close(attention.sum(-1), torch.ones_like(attention[..., 0]))
    if "filters" in seen:
        rolled = sum(
            seen["filters"][:, :, i, j, None, None] * seen["inputs"].roll((i, j), (2, 3))
            for i in range(grid[0])
            for j in range(grid[1])
        )
        torch.testing.assert_close(rolled, seen["aggregated"])
    with torch.no_grad():
        assert torch.equal(mixer(x), output)


def test_kinds() -> None:
    kinds = {name: kind_of(build(name)) for name in NAMES}
    assert {name for name, kind in kinds.items() if kind == "ls"} == {"ls", "small"}
    assert {name for name, kind in kinds.items() if kind == "msa"} == {"attention"}
    assert {name for name, kind in kinds.items() if kind == "attention"} == {"window", "lsra", "cga"}
    assert {name for name, kind in kinds.items() if kind == "dynamic"} == FROM_PICTURE | {"involution", "cot"}
    assert {name for name, kind in kinds.items() if kind == "dw"} == {"static", "repmixer", "without ska"}
    assert {name for name, kind in kinds.items() if kind == "global"} == {"sdta", "aff"}
    assert kinds["none"] == "none"


def test_taps_of_a_block_are_found_from_the_block() -> None:
    blocks = {name: block for name, _, block in LSNet(CONFIG).named_blocks()}
    assert {name: (tap.path, tap.side) for name, tap in blocks["blocks1.1"].taps.items()} == {
        "inputs": ("mixer", "input"),
        "kernels": ("mixer.lkp", "output"),
        "context": ("mixer.lkp.cv2", "output"),
        "aggregated": ("mixer.ska", "output"),
        "features": ("", "output"),
    }
    assert {name: tap.path for name, tap in blocks["blocks4.3"].taps.items()} == {
        "attention": "mixer.m.attend",
        "features": "",
    }
    assert windows_of(blocks["blocks1.1"].mixer) == (7, 3)
    assert windows_of(blocks["blocks4.3"].mixer) == (0, 0)
    assert windows_of(blocks["blocks1.0"].mixer) == (0, 3)  # static: perceives nothing
    fused = LSNet(CONFIG).eval().fuse()
    assert {block.kind for _, _, block in fused.named_blocks()} == {"dw", "ls", "msa"}


def test_every_second_window_block_of_a_stage_is_shifted() -> None:
    model = LSNet(VARIANTS["t"], mixer="window")
    shifted = [block.mixer.m.windows.shifted for _, _, block in model.named_blocks() if block.kind == "attention"]
    assert shifted == [False, False, True, False, True]  # one block in stage 2, four in stage 3


def test_windows_by_hand() -> None:
    """A 3 × 3 grid in windows of two, shifted by one: rows and columns 1, 2 | 0, where the border lies at the bar."""
    part = Windows(2, shifted=True).partition(3, 3)
    assert part.index.tolist() == [[4, 5, 7, 8], [-1, 3, -1, 6], [-1, -1, 1, 2], [-1, -1, -1, 0]]
    assert part.mask is not None
    together = part.mask == 0
    assert together[0].all()
    assert together[1].tolist() == [[a == b for b in (0, 1, 0, 1)] for a in (0, 1, 0, 1)]
    plain = Windows(2).partition(2, 4)
    assert plain.index.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert plain.mask is None
    assert Windows(2, shifted=True).partition(2, 2).mask is None  # one window sees all: nothing to shift


def test_heads_that_do_not_divide_the_channels() -> None:
    """The authors give each of T's three heads 42 value channels in stage 2, and project 126 to 128."""
    model = LSNet(VARIANTS["t"], mixer="attention").eval()
    msa = model.get_submodule("blocks2.3").mixer.m
    assert isinstance(msa, MSA)
    assert msa.split == (48, 48, 126)
    with torch.no_grad():
        assert model(maps(1, 3, 64, 64).float()).shape == (1, 1000)
