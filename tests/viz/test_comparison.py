"""The comparison of mixers against perturbations, gradients, loops and torch's own counters."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

import lsnet
from lsnet.config import VARIANTS
from lsnet.ops.ska_reference import ska_reference
from tests.conftest import randomize
from viz import theme
from viz.analysis import comparison, siblings
from viz.analysis.comparison import compare_mixers, mixing, shares_of
from viz.analysis.siblings import gradient_times_input, measured, untrained, zoo_accuracy
from viz.capture import trace_image
from viz.figures.comparison import draw_comparison
from viz.progress import Cancelled
from viz.results.comparison import ComparedMixer, Comparison
from viz.texts import LANGUAGES, texts_in
from viz.trace import ForwardTrace
from viz.views.comparison import VIEW

MIXERS: tuple[ComparedMixer, ...] = ("ls", "static", "attention", "small", "none")
BLOCK, TOKEN = "blocks1.1", (2, 9)  # 12 × 12 tokens at 96 pixels; the perception window leaves the picture


@pytest.fixture(scope="module")
def inside(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> Comparison:
    return compare_mixers(predictor, photo, trace, BLOCK, TOKEN)


@pytest.fixture(scope="module")
def between(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> Comparison:
    """As where no zoo is bundled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(siblings, "bundled_names", lambda: ["lsnet_t"])
        return compare_mixers(predictor, photo, trace, BLOCK, TOKEN, among="siblings", mixers=MIXERS)


def network(mixer: ComparedMixer, like: lsnet.Predictor) -> lsnet.Predictor:
    predictor = untrained(mixer, like)
    randomize(predictor.model)
    return predictor


def test_shares_by_hand() -> None:
    """Two sets at the top left corner: four taps are on the grid; one set is zero there and does not count."""
    weights = torch.zeros(3, 9)
    weights[0] = torch.tensor([9.0, 9, 9, 9, 1, -1, 9, 2, 0])
    weights[1, 0] = 5  # reads beyond the grid only
    weights[2, 8] = -3
    shares = shares_of(weights, (2, 4), (0, 0))
    np.testing.assert_allclose(shares, [[1 / 8, 1 / 8, 0, 0], [2 / 8, 4 / 8, 0, 0]])
    np.testing.assert_allclose(shares_of(torch.ones(1, 9), (1, 1), (0, 0)), [[1]])
    assert not shares_of(torch.zeros(2, 9), (3, 3), (1, 1)).any()


@pytest.mark.parametrize("token", [(0, 0), (1, 2), (3, 4), (2, 0)])
def test_shares_against_a_loop(token: tuple[int, int]) -> None:
    weights = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    expected = np.zeros((4, 5))
    for taps in weights.abs().tolist():
        one = np.zeros((4, 5))
        for tap, weight in enumerate(taps):
            row, column = token[0] + tap // 3 - 1, token[1] + tap % 3 - 1
            if 0 <= row < 4 and 0 <= column < 5:
                one[row, column] = weight
        expected += one / one.sum() / 4
    np.testing.assert_allclose(shares_of(weights, (4, 5), token), expected, rtol=1e-5)


@pytest.mark.parametrize("mixer", MIXERS)
def test_perceived_tokens_decide_the_weights_and_read_ones_the_output(
    predictor: lsnet.Predictor, photo: Image.Image, mixer: ComparedMixer
) -> None:
    """Change one token of what the block reads: weights change for perceived tokens, the sum for read ones.

    Weights of an LS convolution are looked at before the group norm, which all tokens share.
    """
    one = network(mixer, predictor)
    trace = trace_image(one, photo, size=96)
    result = mixing(one, trace, BLOCK, TOKEN)
    block = one.model.get_submodule(BLOCK).mixer
    inputs = trace.blocks["blocks1.0"].features[None].double()
    block = block.double()
    row, column = TOKEN

    def weights(x: torch.Tensor) -> torch.Tensor:
        if mixer in ("ls", "small"):
            lkp = block.lkp
            return lkp.cv4(lkp.act3(lkp.cv3(lkp.cv2(lkp.act(lkp.cv1(x))))))[0, :, row, column]
        if mixer == "attention":
            found = {}
            handle = block.m.attend.register_forward_hook(lambda module, args, output: found.update(a=output))
            block(x)
            handle.remove()
            return found["a"][0, :, row * x.shape[3] + column]
        return block.conv.c.weight if mixer == "static" else torch.ones(1)

    with torch.no_grad():
        before = weights(inputs)
    count = 0
    for place in np.ndindex(result.perceives.shape):
        changed = inputs.clone()
        changed[0, :, place[0], place[1]] += torch.randn(inputs.shape[1], generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            moved = (weights(changed) - before).abs().max().item()
        assert (moved > 1e-12) == bool(result.perceives[place]), place
        count += moved > 1e-12
    assert count == {"ls": 6 * 6, "small": 1, "static": 0, "none": 0, "attention": 144}[mixer]
    assert result.reads.sum() == {"ls": 9, "small": 9, "static": 9, "none": 1, "attention": 144}[mixer]
    assert (result.shares > 0).sum() == result.reads.sum()
    assert not result.shares[~result.reads].any()
    assert result.shares.sum() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("mixer", MIXERS)
def test_what_is_written_leads_to_what_the_block_answers(
    predictor: lsnet.Predictor, photo: Image.Image, mixer: ComparedMixer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recomputed aggregation, put through the rest of the mixer, gives the mixer's own output."""
    one = network(mixer, predictor)
    trace = trace_image(one, photo, size=96)
    block = one.model.get_submodule(BLOCK).mixer
    kept: list[torch.Tensor] = []
    in_rms = comparison._in_rms

    def keep(values: np.ndarray, unit: np.ndarray | None = None) -> np.ndarray:
        kept.append(torch.as_tensor(values))
        return in_rms(values, unit)

    monkeypatch.setattr(comparison, "_in_rms", keep)
    mixing(one, trace, BLOCK, TOKEN)
    mean = kept[-1].double()
    x = trace.blocks["blocks1.0"].features[None]
    with torch.no_grad():
        if mixer in ("ls", "small"):
            expected = ska_reference(x.double(), block.lkp(x).double())[0].mean(0)
        elif mixer == "attention":
            found = {}
            handle = block.m.proj.register_forward_pre_hook(lambda m, args: found.update(y=args[0]))
            block(x)
            handle.remove()
            expected = found["y"][0].mean(0).double()
        elif mixer == "static":
            expected = block.conv.c(x)[0].mean(0).double()
        else:
            expected = x[0].mean(0).double()
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mixer", ["ls", "static", "attention"])
def test_a_fused_network_mixes_alike(predictor: lsnet.Predictor, photo: Image.Image, mixer: ComparedMixer) -> None:
    one = network(mixer, predictor)
    plain = mixing(one, trace_image(one, photo, size=96), BLOCK, TOKEN)
    one.model.fuse()
    fused = mixing(one, trace_image(one, photo, size=96), BLOCK, TOKEN)
    np.testing.assert_allclose(fused.shares, plain.shares, atol=1e-4)
    np.testing.assert_array_equal(fused.perceives, plain.perceives)
    np.testing.assert_array_equal(fused.reads, plain.reads)


def test_inside_one_model(inside: Comparison, trace: ForwardTrace) -> None:
    own, static, attention = inside.rows
    assert [row.mixer for row in inside.rows] == ["ls", "static", "attention"]
    kernels, inputs = trace.blocks[BLOCK].kernels.double(), trace.blocks[BLOCK].inputs.double()
    unit = kernels.square().mean().sqrt()
    np.testing.assert_allclose(own.weights, kernels[:, :, 2, 9].view(-1, 3, 3) / unit, rtol=1e-4)
    mean = kernels.mean((2, 3), keepdim=True)
    np.testing.assert_allclose(static.weights, mean.view(-1, 3, 3) / unit, rtol=1e-4, atol=1e-6)
    written = [ska_reference(inputs[None], w[None])[0] for w in (kernels, mean.expand_as(kernels))]
    size = written[0].mean(0).square().mean().sqrt()
    for row, expected in zip((own, static), written, strict=True):
        np.testing.assert_allclose(row.feature, expected.mean(0) / size, rtol=1e-3, atol=1e-4)
    energy, error = kernels.square().sum(), (kernels - mean).square().sum()
    assert inside.static_share == pytest.approx(1 - (error / energy).item(), rel=1e-6)
    a, b = (w.flatten().numpy() for w in written)
    assert inside.static_cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-4)
    assert attention.place.block == "blocks4.3"
    assert attention.place.token == (0, 1)  # pixel (76, 20) of 96 × 96, in tokens of 64 pixels
    rows = trace.blocks["blocks4.3"].attention[:, 1]
    np.testing.assert_allclose(attention.shares.ravel(), rows.mean(0), rtol=1e-6)


def test_costs_are_what_torch_counts(predictor: lsnet.Predictor, between: Comparison, inside: Comparison) -> None:
    for row in between.rows:
        one = network(row.mixer, predictor).model
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            one(torch.zeros(1, 3, 96, 96))
        assert row.network is not None
        assert row.network.macs == counter.get_total_flops() // 2
        assert row.network.parameters == sum(p.numel() for p in one.parameters())
        alone = FlopCounterMode(display=False)
        with torch.no_grad(), alone:
            one.get_submodule(BLOCK).mixer(torch.zeros(1, 48, 12, 12))
        assert row.macs == alone.get_total_flops() // 2 // 144
    dim, sets = 48, 6
    assert inside.rows[0].macs == dim * (3 * dim + 2 * 49 + (2 * sets + 4) * 9) // 4  # paper, section 3.2
    assert [row.macs for row in inside.rows][1] == 9 * dim


def test_siblings_differ_in_the_mixer_alone_and_say_that_they_are_untrained(between: Comparison) -> None:
    assert [row.mixer for row in between.rows] == list(MIXERS)
    counts = {row.mixer: row.weight_count for row in between.rows}
    assert counts == {"ls": 54, "none": 0, "static": 48 * 9, "small": 54, "attention": 3 * 144}
    for row in between.rows:
        assert row.place.block == BLOCK
        assert row.place.token == TOKEN
        assert not row.trained
        assert row.network is not None
        assert row.network.accuracy == ()
        assert row.network.milliseconds > 0
        assert row.network.weights.endswith("untrained")
        assert row.attribution is not None
        assert np.square(row.attribution).mean() == pytest.approx(1, rel=1e-4)
    assert "untrained" in between.place.weights
    assert all(np.isfinite(array).all() for array in between.arrays().values())


def test_the_bundled_zoo_is_compared_with_what_was_measured_of_it(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    result = compare_mixers(predictor, photo, trace, BLOCK, TOKEN, among="siblings", mixers=MIXERS)
    assert all(row.trained for row in result.rows)
    known = zoo_accuracy()
    for row in result.rows:
        assert row.network is not None
        assert row.network.accuracy == known[row.mixer]
        assert {one.data for one in row.network.accuracy} == {"imagenette160", "caltech101_160"}
        assert all(0.3 < one.low <= one.mean <= one.high < 1 for one in row.network.accuracy)


def test_siblings_of_another_variant_are_looked_at_in_the_same_stage(photo: Image.Image) -> None:
    predictor = lsnet.load_predictor("untrained/lsnet_t", device="cpu").framed(64)
    trace = trace_image(predictor, photo, size=64)
    for block, expected in (("blocks2.3", "blocks2.3"), ("blocks3.3", "blocks3.3"), ("blocks3.9", "blocks3.5")):
        result = compare_mixers(predictor, photo, trace, block, (1, 0), among="siblings", mixers=("ls",))
        (row,) = result.rows
        assert row.place.block == expected
        assert row.perceives.shape == trace.blocks[block].grid
        assert row.place.stride == trace.blocks[block].stride


def test_bundled_siblings_are_taken_where_all_are_there(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def load(source: str) -> lsnet.Predictor:
        asked.append(source)
        one = network("static" if source.endswith("static") else "ls", predictor)
        return replace(one, card=replace(one.card, trained=True, source=source))

    monkeypatch.setattr(siblings, "bundled_names", lambda: ["lsnet_t", "lsnet_n", "lsnet_n_static"])
    result = compare_mixers(predictor, photo, trace, BLOCK, TOKEN, among="siblings", mixers=("ls", "static"), load=load)
    assert asked == ["bundled/lsnet_n", "bundled/lsnet_n_static"]
    assert all(row.trained for row in result.rows)
    assert "untrained" not in result.place.weights
    asked.clear()
    result = compare_mixers(predictor, photo, trace, BLOCK, TOKEN, among="siblings", load=load)
    assert asked == []  # attention is missing: trained beside random weights would compare nothing
    assert not any(row.trained for row in result.rows)


def test_gradient_times_input_is_a_derivative(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    """Σ gradient·input over a cell is how the logit changes when the cell's input grows in proportion."""
    one = replace(predictor, model=network("ls", predictor).model.double())
    found = gradient_times_input(one, photo)
    assert found.shape == (12, 12)
    batch = one.batch(photo)
    with torch.no_grad():
        top = one.model(batch)[0].argmax()
        for row, column in ((0, 0), (5, 7), (11, 11)):
            cell = (slice(None), slice(None), slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
            logits = []
            for step in (-1e-5, 1e-5):
                scaled = batch.clone()
                scaled[cell] *= 1 + step
                logits.append(one.model(scaled)[0, top].item())
            assert found[row, column] == pytest.approx((logits[1] - logits[0]) / 2e-5, rel=1e-3, abs=1e-6)


def test_gradients_leave_no_trace(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    gradient_times_input(predictor, photo)
    assert all(p.grad is None for p in predictor.model.parameters())
    assert all(p.requires_grad for p in predictor.model.parameters())
    assert not [m for m in predictor.model.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_the_logits_of_measured_networks(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    one = network("static", predictor)
    told: list[float] = []
    (facts,) = measured({"static": one}, photo, told.append)
    probabilities = one.logits(photo).softmax(0)
    assert [p for _, p in facts.top] == pytest.approx(sorted(probabilities.tolist())[-1:-4:-1])
    assert facts.top[0][0]["en"] == one.classes[int(probabilities.argmax())].en
    assert told == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_accuracy_comes_from_the_zoos_table(tmp_path: Path) -> None:
    rows = [
        {"mixer": "ls", "seed": 0, "toys accuracy": 0.70, "toys low": 0.6, "toys high": 0.8},
        {"mixer": "ls", "seed": 1, "toys accuracy": 0.76, "toys low": 0.7, "toys high": 0.9},
        {"mixer": "none", "seed": 0, "toys accuracy": 0.5, "toys low": 0.4, "toys high": 0.6},
    ]
    rows = [row | {"size": 160, "toys pictures": 50} for row in rows]
    with (tmp_path / "zoo.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    known = zoo_accuracy(tmp_path / "zoo.csv")
    (ls,) = known["ls"]
    assert (ls.data, ls.mean, ls.low, ls.high) == ("toys", pytest.approx(0.73), 0.7, 0.76)
    assert (ls.seeds, ls.pictures, ls.size) == (2, 50, 160)
    (none,) = known["none"]
    assert (none.low, none.high, none.seeds) == (0.4, 0.6, 1)
    assert zoo_accuracy(tmp_path / "absent.csv") == {}


def test_attention_that_would_not_fit_is_left_out(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viz.analysis.comparison.MOST_WEIGHTS_OF_ONE", 3 * 144**2 - 1)
    result = compare_mixers(predictor, photo, trace, BLOCK, TOKEN, among="siblings")
    assert result.left_out == ("attention",)
    assert [row.mixer for row in result.rows] == ["ls", "static"]
    assert "Self-attention is left out" in VIEW.tell(result, texts_in("en"))
    assert VARIANTS["n"].num_heads[0] == 3


def test_who_no_longer_waits_stops_it(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    def stop(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        compare_mixers(predictor, photo, trace, BLOCK, TOKEN, among="siblings", progress=stop)


@pytest.mark.parametrize("kind", ["constant", "strip"])
def test_pictures_with_little_to_see(tiny_predictor: lsnet.Predictor, kind: str) -> None:
    picture = Image.new("RGB", (90, 90), "grey") if kind == "constant" else Image.new("RGB", (2000, 33), "red")
    predictor = tiny_predictor.framed(64, "whole")
    trace = trace_image(predictor, picture)
    for among in ("inside", "siblings"):
        result = compare_mixers(predictor, picture, trace, "blocks3.5", (0, 0), among=among)  # type: ignore[arg-type]
        assert all(np.isfinite(array).all() for array in result.arrays().values())
        for language in LANGUAGES:
            assert isinstance(draw_comparison(result, texts_in(language), True), go.Figure)
            assert VIEW.tell(result, texts_in(language))


def test_panels_share_their_ranges(inside: Comparison, between: Comparison) -> None:
    for result in (inside, between):
        figure = draw_comparison(result, texts_in("en"))
        layout = figure.layout
        assert layout.coloraxis.cmin == 0
        assert layout.coloraxis.cmax == max(row.shares.max() for row in result.rows)
        assert layout.coloraxis2.cmax == -layout.coloraxis2.cmin
        assert [tuple(stop) for stop in layout.coloraxis2.colorscale] == theme.DIVERGING
        maps = [t for t in figure.data if isinstance(t, go.Heatmap)]
        assert sum(t.coloraxis == "coloraxis" for t in maps) == len(result.rows)
        assert sum(t.coloraxis == "coloraxis2" for t in maps) == 2 * len(result.rows)
        reading = np.asarray(next(t for t in maps if t.coloraxis == "coloraxis").z, dtype=float)
        np.testing.assert_array_equal(np.isfinite(reading), result.rows[0].reads)
        words = " ".join(annotation.text for annotation in layout.annotations)
        assert words.count("untrained") >= len(result.rows)


def test_the_formal_table_holds_this_places_numbers(inside: Comparison, between: Comparison) -> None:
    table = VIEW.tell(inside, texts_in("en"))
    assert "| 36 / 144 |" in table
    assert "| 9 / 144 |" in table
    assert "54 |" in table
    assert f"{inside.rows[0].macs:,}" in table
    for text in (VIEW.tell(between, texts_in(language)) for language in LANGUAGES):
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == 2 * (2 + len(MIXERS))
        assert len({line.count("|") for line in lines}) == 1


def test_a_block_without_kernels_is_told(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    with pytest.raises(ValueError, match=r"LS block with recorded kernels, got 'blocks4\.3'"):
        compare_mixers(predictor, photo, trace, "blocks4.3", (0, 0))
    with pytest.raises(ValueError, match="token in a grid"):
        compare_mixers(predictor, photo, trace, BLOCK, (12, 0))


def test_other_mixers_are_refused(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    other = untrained("involution", predictor)  # type: ignore[arg-type]
    trace = trace_image(other, photo, size=64, blocks=["blocks1.0", "blocks1.1"])
    with pytest.raises(ValueError, match="one of the mixers ls, static, attention, small, none, got 'involution'"):
        mixing(other, trace, BLOCK, (0, 0))
