"""The variants of the paper's tables 5 to 8: each is an option of one network, and costs what the paper prints."""

import csv
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lsnet.config import VARIANTS, MixerName
from lsnet.mixers import MIXERS, LKPConv, LSConv
from lsnet.model import LSNet
from lsnet.tools.ablations import ROWS, main, printed_gmacs
from tests.conftest import randomize

# Options of LSNet-T, and the GFLOPs (multiply-accumulates) that the paper prints for it at 224 pixels.
PRINTED: dict[str, tuple[dict[str, Any], float]] = {
    name if row.options else "LSNet-T": (dict(row.options), printed_gmacs()[table, name])
    for table in (5, 6, 7, 8)
    for name, row in ROWS[table].items()
}

# Where our count, here in MMAC, does not round to what is printed. All five are the authors' released code with at most
# one of its numbers changed, so that there is nothing to choose. The prints themselves do not come from one rule, be it
# rounding or cutting: from C/G = 8 to 4 they grow by 0.02, so by more than 10 M, and from K_S = 3 to 5 by 0.03, so by
# more than 20 M, where the paper's own formula (section 3.2) gives 9.0 and 17.3 M; test below.
OFF = {"LSNet-T": 315.82, "w/o SE": 315.32, "K_S = 1": 307.19, "K_S = 5": 333.09, "C/G = 4": 324.86}

T = VARIANTS["t"]
SHORT = replace(T, depths=(0, 2, 2, 2), num_classes=3)
SHAPES = [(14 * 14, 128, 1), (7 * 7, 256, 4)]  # T's LS convs at 224 pixels: tokens, channels, how many


def ska_flops(x: torch.Size, w: torch.Size, *_: object, **__: object) -> int:
    """Of the custom operator, which torch cannot know: every tap is a multiplication and an addition."""
    return 2 * math.prod(x) * w[2]


@cache
def mmacs(name: str) -> float:
    """Multiply-accumulates of convolutions, matrix products and SKA of a variant of LSNet-T at 224 pixels, in M."""
    model = LSNet(T, **PRINTED[name][0]).eval()
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.lsnet.ska: ska_flops})
    with counter, torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    return counter.get_total_flops() / 2e6


def formula(kernel_large: int = 7, kernel_small: int = 3, channels_per_set: int = 8) -> float:
    """Ω(LS conv) = HWC/4 · (3C + 2·K_L² + (2G + 4)·K_S²), the paper's section 3.2, over T's LS convs, in M."""
    return sum(
        count * tokens * dim / 4 * (3 * dim + 2 * kernel_large**2 + (2 * dim / channels_per_set + 4) * kernel_small**2)
        for tokens, dim, count in SHAPES
    ) / 1e6  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_macs_are_those_printed(name: str) -> None:
    counted, printed = mmacs(name), PRINTED[name][1]
    if name in OFF:
        assert counted == pytest.approx(OFF[name], abs=0.005)
        assert 5 < abs(counted - 1e3 * printed) < 8  # else it belongs among the others
    else:
        assert round(counted / 1e3, 2) == printed


def test_the_tables_are_whole() -> None:
    assert {(table, name) for table, rows in ROWS.items() for name in rows} == set(printed_gmacs())
    assert len(PRINTED) == 27  # the network itself and 26 ways to change it


def test_the_command_counts_what_is_counted_here(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main(["count", "--tables", "7", "9", "--csv", str(tmp_path / "counts.csv")])
    with (tmp_path / "counts.csv").open() as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    for name in ("w/o LKP", "K_S = 5", "w/o SKA"):
        assert float(rows[name]["gmacs"]) == pytest.approx(mmacs(name) / 1e3, abs=1e-5)
    assert rows["ResNet50 + LS conv"]["printed_gmacs"] == "2.6"
    assert capsys.readouterr().out.count("does not round to it") == 3  # the network itself, K_S = 1 and 5; see OFF


def test_a_row_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "7", "K_S = 7"])
    assert "it has LSNet-T (K_L = 7, K_S = 3), w/o LKP" in capsys.readouterr().err


def test_the_deviations_lie_in_the_prints() -> None:
    """Counts follow the paper's formula exactly; its prints do not."""
    for name in ("LSNet-T", "K_S = 1", "K_S = 5", "K_L = 9", "C/G = 4"):
        assert mmacs(name) - mmacs("w/o LS conv") == pytest.approx(formula(**PRINTED[name][0]), rel=1e-6)
    for name in ("K_S = 5", "C/G = 4"):
        options, printed = PRINTED[name]
        least = 1e3 * (printed - PRINTED["LSNet-T"][1] - 0.01)  # whether both are rounded or both are cut
        assert formula(**options) - formula() < least


@pytest.mark.parametrize("options", [options for options, _ in PRINTED.values()], ids=list(PRINTED))
def test_every_variant_is_a_network(options: dict[str, Any]) -> None:
    """It has the blocks of its like, trains, and its weights return."""
    torch.manual_seed(0)
    model = LSNet(SHORT, **options)
    assert [name for name, _, _ in model.named_blocks()] == [f"blocks{n}.{i}" for n in (2, 3, 4) for i in (2, 3)]
    x = torch.randn(2, 3, 64, 96)
    model(x).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    again = LSNet(SHORT, **options)
    again.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(again.eval()(x), model.eval()(x))


def modules(model: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, kind)]


def test_options_change_what_they_name_and_nothing_else() -> None:
    shapes = {key: value.shape for key, value in LSNet(SHORT).state_dict().items()}
    keys = set(shapes)

    def changed(**options: Any) -> tuple[set[str], set[str], set[str]]:
        """Keys that are gone, that are new, and whose shape is another."""
        state = {key: value.shape for key, value in LSNet(SHORT, **options).state_dict().items()}
        return keys - set(state), set(state) - keys, {key for key in keys & set(state) if state[key] != shapes[key]}

    gone, new, _ = changed(dw=False)
    assert gone == {key for key in keys if ".mixer.conv" in key}
    assert not new
    gone, new, _ = changed(se=False)
    assert gone == {key for key in keys if ".se." in key}
    assert not new
    gone, new, other = changed(ska=False)
    assert all(key.split(".mixer.")[1].startswith("bn.") for key in gone)
    assert all(key.split(".mixer.")[1].startswith("dw.") for key in new)
    assert all(".lkp.cv4." in key or ".lkp.norm." in key for key in other)
    _, _, other = changed(kernel_large=9)
    assert all(key.endswith("lkp.cv2.c.weight") for key in other)
    gone, new, other = changed(kernel_large=1)
    assert all(".lkp.cv2." in key for key in gone)
    assert not new
    assert not other
    _, _, other = changed(kernel_small=5)
    assert all(".lkp.cv4." in key or ".lkp.norm." in key for key in other)
    _, _, other = changed(channels_per_set=4)
    assert all(".lkp.cv4." in key or ".lkp.norm." in key for key in other)


def test_without_ska_there_are_no_dynamic_kernels() -> None:
    model = LSNet(SHORT, ska=False)
    assert len(modules(model, LKPConv)) == 2
    assert not modules(model, LSConv)
    small = LSNet(SHORT, ska=False, mixer="small")
    assert {layer.kernel_large for layer in modules(small, LKPConv)} == {1}  # type: ignore[attr-defined]


def test_no_lkp_is_the_mixer_small() -> None:
    first, second = LSNet(VARIANTS["n"], kernel_large=1), LSNet(VARIANTS["n"], mixer="small")
    second.load_state_dict(first.state_dict(), strict=True)
    assert {layer.kernel_large for layer in modules(second, LSConv)} == {1}  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{"ska": False}, {"dw": False}, {"se": False}, {"kernel_large": 9}], ids=str)
def test_fusing_keeps_the_logits(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = randomize(LSNet(VARIANTS["n"], num_classes=5, **options)).double()
    x = torch.randn(1, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        expected: Tensor = model(x)
        torch.testing.assert_close(model.fuse()(x), expected, rtol=1e-9, atol=1e-11)


def test_an_unknown_mixer_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"expected mixer to be one of ls, none, .*odconv, got 'convolution'"):
        LSNet(VARIANTS["n"], mixer="convolution")


def test_every_name_has_a_builder() -> None:
    """The names of the configuration, which stand apart from the modules, and those modules."""
    assert tuple(MIXERS) == get_args(MixerName)
