"""Studies of kernels, on a network whose tokens see one pixel each: what it must answer can be worked out by hand."""

import copy
import csv
import importlib.metadata
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import lsnet
from lsnet.errors import InputError
from lsnet.mixers import LSConv
from lsnet.registry import create_lsnet
from lsnet.tools import studies
from lsnet.tools.recorded_kernels import kernels_of, perceptions, recorded_kernels
from lsnet.tools.studies import (
    agreement,
    main,
    mirrored,
    renormalized,
    study_crops,
    study_shifts,
    study_sizes,
)
from tests.conftest import randomize

BLOCK = "blocks1.1"  # the first LS block: nothing dynamic comes before it
SIDE = 64


@pytest.fixture(scope="module")
def pointwise() -> lsnet.LSNet:
    """An lsnet_n in which every convolution keeps its central tap alone, and nothing looks at the whole picture.

    In stage 1, token (r, c) sees pixel (8r, 8c) and nothing else; only the group norm knows of other tokens.
    """
    torch.manual_seed(0)
    model = create_lsnet("lsnet_n", num_classes=10)
    randomize(model)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size > (1, 1):
            centre = module.kernel_size[0] // 2
            kept = module.weight.data[..., centre, centre] * module.kernel_size[0] * 2  # as strong as all taps were
            module.weight.data.zero_()[..., centre, centre] = kept
    for _, _, block in model.named_blocks():
        block.se = nn.Identity()
    for _, _, perception in perceptions(model):
        perception.cv4.bias.data.zero_()  # what is the same everywhere
    return model


def blocky(seed: int = 0) -> Tensor:
    """A picture (3, 64, 64) of 8 × 8 squares of random colours."""
    squares = torch.randn(3, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(seed))
    return squares.repeat_interleave(8, 1).repeat_interleave(8, 2)


def test_shifts_of_an_equivariant_network_by_hand(pointwise: lsnet.LSNet) -> None:
    wallpaper = blocky().repeat(1, 2, 2)  # a window on it sees the same squares wherever it is
    rows = {
        (row.axis, row.shift): row
        for row in study_shifts(pointwise, wallpaper, SIDE, (0, 3, 5, 8, 16))
        if row.block == BLOCK
    }
    kernels = kernels_of(pointwise, blocky())[BLOCK].used  # (G, 9, 8, 8)
    for axis in ("x", "y"):
        for shift in (0, 8, 16):  # whole tokens: kernels follow exactly
            assert rows[axis, shift].cosine == pytest.approx(1, abs=1e-5)
            assert rows[axis, shift].relative_error == pytest.approx(0, abs=1e-4)
            assert (rows[axis, shift].phase, rows[axis, shift].tokens) == (0, 8 * (8 - shift // 8))
        # 3 pixels further every token still sees its own square.
        assert (rows[axis, 3].phase, rows[axis, 3].tokens) == (3, 64)
        assert rows[axis, 3].relative_error == pytest.approx(0, abs=1e-4)
        # So it does 5 pixels further, but is compared with the next token, which is nearer.
        near = kernels.transpose(2, 3) if axis == "y" else kernels
        expected = (near[..., :-1] - near[..., 1:]).norm() / near[..., 1:].norm()
        assert rows[axis, 5].relative_error == pytest.approx(expected.item(), rel=1e-3)
        assert expected > 0.1  # kernels do depend on the picture
    far = torch.zeros(8, 8)
    for r in range(8):
        for c in range(8):
            a, b = kernels[:, :, r, c].flatten(), kernels[:, :, (r + 4) % 8, (c + 4) % 8].flatten()
            far[r, c] = a @ b / (a.norm() * b.norm())
    assert rows["x", 8].unrelated_cosine == pytest.approx(far.mean().item(), rel=1e-4)


def test_windows_that_share_no_token_are_not_compared(pointwise: lsnet.LSNet) -> None:
    wallpaper = blocky().repeat(1, 2, 2)
    found = {(row.stride, row.axis) for row in study_shifts(pointwise, wallpaper, SIDE, (64,))}
    assert {axis for _, axis in found} == {"mirror"}


def test_mirrored_by_a_loop() -> None:
    kernels = torch.randn(2, 9, 3, 4)
    ours = mirrored(kernels)
    for u in range(3):
        for v in range(3):
            for c in range(4):
                assert torch.equal(ours[:, 3 * u + v, :, c], kernels[:, 3 * u + (2 - v), :, 3 - c])


def test_a_network_without_left_and_right_mirrors_its_kernels(pointwise: lsnet.LSNet) -> None:
    model = copy.deepcopy(pointwise)
    mixer = model.get_submodule(BLOCK).mixer
    assert isinstance(mixer, LSConv)
    for parameter in (mixer.lkp.cv4.weight, mixer.lkp.cv4.bias, mixer.lkp.norm.weight, mixer.lkp.norm.bias):
        taps = parameter.data.view(-1, 3, 3, parameter[0].numel())
        taps.copy_(taps + taps.flip(2))
    row = next(row for row in study_shifts(model, blocky(), SIDE, ()) if row.block == BLOCK)
    assert row.axis == "mirror"
    assert row.relative_error == pytest.approx(0, abs=1e-4)
    plain = next(row for row in study_shifts(pointwise, blocky(), SIDE, ()) if row.block == BLOCK)
    assert plain.relative_error > 0.1


def test_only_the_norm_tells_a_crop_from_the_whole(pointwise: lsnet.LSNet) -> None:
    assert {row.side for row in study_crops(pointwise, blocky())} == {64}  # 32 pixels fewer would leave nothing
    picture = torch.cat([torch.cat([blocky(1), blocky(2)], 2), torch.cat([blocky(3), blocky(4)], 2)], 1)
    whole = kernels_of(pointwise, picture)[BLOCK]
    rows = {row.side: row for row in study_crops(pointwise, picture) if row.block == BLOCK}
    assert set(rows) == {128, 64}
    crop = rows[64]
    assert crop.same_norm_error == pytest.approx(0, abs=1e-4)
    assert crop.relative_error > 0.01
    assert crop.tokens == 64
    # The crop sees rows and columns 4 to 11 of the whole's 16.
    sets = [(kernels[:, 4:12, 4:12].std(correction=0), kernels.std(correction=0)) for kernels in whole.raw]
    logs = [math.log(inner / outer) for inner, outer in sets]
    assert crop.spread == pytest.approx(math.exp(sum(logs) / len(logs)), rel=1e-3)


def test_twice_the_size_changes_nothing_for_who_sees_single_pixels(pointwise: lsnet.LSNet) -> None:
    def at_size(side: int) -> Tensor:
        factor = side // SIDE
        return blocky().repeat_interleave(factor, 1).repeat_interleave(factor, 2)

    rows = {row.side: row for row in study_sizes(pointwise, at_size, SIDE, (64, 128)) if row.block == BLOCK}
    for row in rows.values():
        assert row.relative_error == pytest.approx(0, abs=1e-4)
        assert row.spread == pytest.approx(1, rel=1e-4)
        assert row.tokens == 64


def test_the_norm_by_hand_is_the_networks(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    found = kernels_of(tiny_predictor.model, tiny_predictor.framed(96).preprocess(photo))
    for name, _, perception in perceptions(tiny_predictor.model):
        ours = renormalized(found[name].raw, found[name].raw, perception.norm)
        torch.testing.assert_close(ours, found[name].used, rtol=1e-4, atol=1e-4)


def test_agreement_by_hand() -> None:
    one, two = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.tensor([4.0, 3.0]).view(1, 2, 1, 1)
    assert agreement(one, two) == pytest.approx((24 / 25, math.sqrt(2) / 5))
    assert agreement(0 * one, 0 * two) == (0, 0)


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_no_hook_stays(tiny_predictor: lsnet.Predictor) -> None:
    model, x = tiny_predictor.model, torch.zeros(2, 3, 64, 64)
    with torch.no_grad(), recorded_kernels(model) as record:
        assert hooks(model) > 0
        model(x)
    assert set(record) == {name for name, _, block in model.named_blocks() if block.kind == "ls"}
    assert hooks(model) == 0
    with pytest.raises(RuntimeError), recorded_kernels(model):
        model(torch.zeros(1, 4, 64, 64))
    assert hooks(model) == 0


def test_a_network_without_kernels_is_refused() -> None:
    with pytest.raises(InputError, match="no LS convolutions"):
        perceptions(create_lsnet("lsnet_n", mixer="static"))


@pytest.mark.parametrize("study", ["shift", "resolution"])
def test_from_the_command_line(study: str, tmp_path: Path) -> None:
    Image.new("RGB", (80, 70), (200, 30, 30)).save(tmp_path / "constant.png")
    output = tmp_path / "study.csv"
    words = ["--weights", "untrained/lsnet_n", "--pictures", str(tmp_path), "--size", "64", "--output", str(output)]
    main([study, *words, "--shifts", "0", "8", "--sizes", "64", "96"])
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["picture"] for row in rows} == {"constant.png"}
    assert all("untrained/lsnet_n" in row["weights"] for row in rows)
    texts = ("picture", "weights", "block", "axis", "change", "versions", "command")
    assert all(math.isfinite(float(value)) for row in rows for key, value in row.items() if key not in texts)
    assert all(row["command"].startswith(f"python -m lsnet.tools.studies {study}") for row in rows)
    beside = json.loads(output.with_suffix(".json").read_text())
    assert [str(row["block"]) for row in beside["rows"]] == [row["block"] for row in rows]
    assert beside["versions"]["torch"] == importlib.metadata.version("torch")
    key = "axis" if study == "shift" else "change"
    assert {row[key] for row in rows} == ({"x", "y", "mirror"} if study == "shift" else {"crop", "size"})


def test_a_study_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (80, 70), (200, 30, 30)).save(tmp_path / name)
    output, study = tmp_path / "out" / "study.csv", studies.shift_rows
    words = ["--weights", "untrained/lsnet_n", "--pictures", str(tmp_path), "--size", "64", "--output", str(output)]
    calls: list[int] = []

    def interrupted(*arguments: Any) -> Iterator[Any]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return study(*arguments)

    monkeypatch.setattr(studies, "shift_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(["shift", *words, "--shifts", "0", "8"])
    main(["shift", *words, "--shifts", "0", "8"])
    assert len(calls) == 3  # the first picture once, the second one twice
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == ["a.png"] * (len(rows) // 2) + ["b.png"] * (len(rows) // 2)
    with pytest.raises(InputError, match="results of another shifts: give another --output"):
        main(["shift", *words, "--shifts", "0", "4"])


def test_a_panorama_is_studied_in_its_middle(tmp_path: Path) -> None:
    Image.effect_noise((1200, 80), 50).convert("RGB").save(tmp_path / "panorama.png")
    output = tmp_path / "study.csv"
    words = ["--weights", "untrained/lsnet_n", "--pictures", str(tmp_path), "--size", "128", "--output", str(output)]
    main(["shift", *words, "--shifts", "0", "64"])
    with output.open() as file:
        assert {row["picture"] for row in csv.DictReader(file)} == {"panorama.png"}


def test_no_pictures_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected pictures at"):
        main(["shift", "--weights", "untrained/lsnet_n", "--pictures", str(tmp_path), "--output", str(tmp_path / "s")])
