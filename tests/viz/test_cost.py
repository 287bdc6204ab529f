"""Costs against torch's own counter, against modules that are counted anew, and against the paper's file."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lsnet
from lsnet.complexity import counted_cost
from lsnet.config import VARIANTS
from lsnet.layers import Residual
from lsnet.mixers import MSA, LSConv, StaticConv
from lsnet.model import LSNet
from viz.analysis import cost as analysis
from viz.analysis.cost import cost, mixer_scaling, model_costs, paper_results, timed
from viz.capture import trace_image
from viz.paper import PAPER_FILE, lsnet_paper
from viz.progress import Cancelled
from viz.results.cost import COMPARED, MixerScaling, PaperResults
from viz.subject import Subject
from viz.texts import LANGUAGES, texts_in
from viz.trace import ForwardTrace
from viz.views.cost import VIEW

SIZE = 160
BLOCKS = {"blocks1.0": "dw", "blocks1.1": "ls", "blocks3.3": "ls", "blocks4.2": "dw", "blocks4.3": "msa"}


@pytest.fixture(scope="module")
def predictor(tiny_predictor: lsnet.Predictor) -> lsnet.Predictor:
    return tiny_predictor.framed(SIZE)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time for more than the block's own grid."""
    monkeypatch.setattr(analysis, "TIMED_SECONDS", 0.0)
    monkeypatch.setattr(analysis, "SECONDS_PER_GRID", 0.0)


def with_model(predictor: lsnet.Predictor, model: LSNet) -> lsnet.Predictor:
    return replace(predictor, model=model.eval())


@pytest.mark.parametrize(("block", "kind"), BLOCKS.items())
def test_the_formula_is_what_torch_counts(
    predictor: lsnet.Predictor, trace: ForwardTrace, block: str, kind: str
) -> None:
    """On the block's own mixer, fused, with real tensors of the traced grid."""
    result = mixer_scaling(predictor, trace, block)
    fused = copy.deepcopy(predictor.model).fuse()
    x = torch.zeros(1, result.terms["C"], *trace.blocks[block].grid)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        fused.get_submodule(f"{block}.mixer")(x)
    counted = counter.get_total_flops() // 2
    assert result.kind == kind
    assert result.own_macs == result.own == result.here[COMPARED.index(kind)] == counted
    told = VIEW.tell(result, texts_in("en"))
    assert f"**{counted:,}**" in told
    assert rf"&= {counted:,}".replace(",", r"\,") in told


def test_the_formula_in_words_gives_its_number(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    """What stands in the second line of the LaTeX, worked out by hand for three blocks."""
    tokens = {"blocks1.0": 20 * 20, "blocks1.1": 20 * 20, "blocks4.3": 3 * 3}
    expected = {
        "blocks1.0": tokens["blocks1.0"] * 48 * 9,
        "blocks1.1": tokens["blocks1.1"] * 48 * (3 * 48 + 2 * 49 + (2 * 6 + 4) * 9) // 4,
        "blocks4.3": 9 * (2 * 256**2 + 2 * 256 * 64 + 9 * 64) + 81 * (256 + 64),
    }
    for block, macs in expected.items():
        assert mixer_scaling(predictor, trace, block).own_macs == macs


@pytest.mark.parametrize("quantity", ["macs", "bytes"])
@pytest.mark.parametrize("grid", [(1, 1), (6, 6), (5, 31)])
def test_curves_are_what_modules_of_any_grid_cost(
    predictor: lsnet.Predictor, trace: ForwardTrace, quantity: str, grid: tuple[int, int]
) -> None:
    result = mixer_scaling(predictor, trace, "blocks2.3", quantity)  # type: ignore[arg-type]
    stored = predictor.model.config.grid(2)
    modules = {"ls": LSConv(96), "dw": StaticConv(96), "msa": Residual(MSA(96, 4, 16, stored))}
    n = grid[0] * grid[1]
    for mixer, coefficients in zip(COMPARED, result.coefficients, strict=True):
        counted = counted_cost(modules[mixer], (1, 96, *grid), fused=True)
        assert coefficients @ (1, n, n * n) == (counted.macs if quantity == "macs" else counted.bytes(4))
    np.testing.assert_allclose(
        result.costs, [[a + b * n + c * n * n for n in result.tokens] for a, b, c in result.coefficients]
    )
    assert np.diff(result.tokens).min() > 0


def test_the_turning_point_and_crossings_by_brute_force(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    """One kernel set per channel makes LS convolution move so many bytes that attention starts out below it."""
    one_set_each = with_model(predictor, LSNet(VARIANTS["n"], channels_per_set=1, num_classes=1000))
    trace = trace_image(one_set_each, photo)
    result = mixer_scaling(one_set_each, trace, "blocks1.1", "bytes")
    n = np.arange(1, 20_000, dtype=np.float64)
    ls, _, msa = (a + b * n + c * n * n for a, b, c in result.coefficients)
    swaps = n[1:][np.sign(ls - msa)[1:] != np.sign(ls - msa)[:-1]]
    found = [(first, second, at) for first, second, at, _ in result.crossings]
    assert [(first, second) for first, second, _ in found] == [("ls", "msa")]
    assert [int(np.ceil(at)) for *_, at in found] == swaps.tolist()
    ((*_, at, value),) = result.crossings
    assert value == pytest.approx(result.coefficients[2] @ (1, at, at * at))
    _, linear, quadratic = result.coefficients[2]
    larger = n[quadratic * n * n > linear * n]
    assert larger[0] == np.floor(result.turning_point) + 1
    assert "costs the same" not in VIEW.tell(result, texts_in("en"))
    assert "cost the same at" in VIEW.tell(result, texts_in("en"))


def test_a_mixer_without_a_closed_form_is_counted_and_says_so(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    model = copy.deepcopy(predictor.model)
    model.get_submodule("blocks2.2").mixer = nn.Conv2d(96, 96, 1)  # type: ignore[assignment]
    other = with_model(predictor, model)
    result = mixer_scaling(other, trace_image(other, photo), "blocks2.2")
    assert result.kind == "other"
    assert result.own_macs == 10 * 10 * 96 * 96
    for language in LANGUAGES:
        assert f"{result.own_macs:,}" in VIEW.tell(result, texts_in(language))
        VIEW.draw(result, texts_in(language), False)


@pytest.mark.parametrize("mixer", ["window", "involution", "aff", "repmixer"])
def test_networks_with_other_mixers_have_all_their_parts_drawn(
    predictor: lsnet.Predictor, photo: Image.Image, mixer: str
) -> None:
    trace = trace_image(predictor.framed(64), photo, blocks=[])  # only its grids matter here
    other = with_model(predictor, LSNet(VARIANTS["n"], mixer=mixer, num_classes=1000)).framed(64)
    result = model_costs(other, trace, "blocks1.1")
    bars = VIEW.draw(result, texts_in("en"), False).data
    for row, values in enumerate((result.macs, result.parameters, result.bytes)):
        drawn = [bar for bar in bars if bar.yaxis == ("y", "y2", "y3")[row]]
        assert sum(sum(bar.y) for bar in drawn) == pytest.approx(values.sum())
    scaling = mixer_scaling(other, trace, "blocks1.1")
    assert scaling.kind == ("dw" if mixer == "repmixer" else "other")  # RepMixer folds into a depthwise convolution
    assert "1.1" in VIEW.tell(scaling, texts_in("zh-CN"))


def test_a_block_that_mixes_nothing_costs_nothing(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    without = with_model(predictor, LSNet(VARIANTS["n"], mixer="none", num_classes=1000))
    result = mixer_scaling(without, trace_image(without, photo), "blocks1.1")
    assert (result.kind, result.own_macs, result.own) == ("none", 0, 0)
    assert result.here.min() > 0
    assert "**0**" in VIEW.tell(result, texts_in("en"))


def test_times_are_measured_on_this_grid_first(predictor: lsnet.Predictor, trace: ForwardTrace, hurried: None) -> None:
    scaling = mixer_scaling(predictor, trace, "blocks3.3")
    assert scaling.times.runs == ()
    shares: list[float] = []
    state = torch.get_rng_state()
    *_, result = timed(scaling, predictor, shares.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [(run.mixer, run.grid) for run in result.times.runs] == [(mixer, (5, 5)) for mixer in COMPARED]
    assert all(0 < run.low_ms <= run.median_ms <= run.high_ms for run in result.times.runs)
    assert result.times.threads == torch.get_num_threads()
    assert set(result.arrays()) == set(scaling.arrays())
    assert "Measured on this grid" in VIEW.tell(result, texts_in("en"))


def test_attention_too_large_for_memory_is_not_timed(
    predictor: lsnet.Predictor, trace: ForwardTrace, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis, "TIMED_WEIGHTS", 4 * 25**2 - 1)
    *_, result = timed(mixer_scaling(predictor, trace, "blocks3.3"), predictor)
    assert [run.mixer for run in result.times.runs if run.grid == (5, 5)] == ["ls", "dw"]
    assert texts_in("en")("cost.tell.untimed") in VIEW.tell(result, texts_in("en"))


def test_a_measurement_can_be_cancelled(predictor: lsnet.Predictor, trace: ForwardTrace, hurried: None) -> None:
    def nobody_waits(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        list(timed(mixer_scaling(predictor, trace, "blocks3.3"), predictor, nobody_waits))
    assert not torch.is_inference_mode_enabled()


def test_the_parts_of_a_network_add_up_to_what_torch_counts(predictor: lsnet.Predictor) -> None:
    strip = predictor.framed(64, "whole")
    trace = trace_image(strip, Image.new("RGB", (700, 100), "grey"))
    result = model_costs(strip, trace, "blocks2.3")
    fused = copy.deepcopy(predictor.model).fuse()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        fused(torch.zeros(1, 3, *result.size))
    assert result.size == (64, 448)
    assert result.macs.sum() == counter.get_total_flops() / 2
    assert result.parameters.sum() == sum(p.numel() for p in fused.parameters())
    assert result.training_parameters == sum(p.numel() for p in predictor.model.parameters())
    names = [name for name, _, _ in predictor.model.named_blocks()]
    assert [part for part in result.parts if part.startswith("blocks")] == names
    counts = counter.get_flop_counts()
    for part, kind, (mixing, rest) in zip(result.parts, result.kinds, result.macs, strict=True):
        if part in names:
            assert kind == trace.blocks[part].kind
            assert mixing == sum(counts[f"LSNet.{part}.mixer"].values()) / 2
            assert mixing + rest == sum(counts[f"LSNet.{part}"].values()) / 2
        else:
            assert (kind, mixing) == (None, 0)


@pytest.mark.parametrize("number", range(1, 10))
def test_the_papers_tables_are_drawn_as_printed(trace: ForwardTrace, number: int) -> None:
    stored = json.loads(PAPER_FILE.read_text(encoding="utf-8"))["tables"][number - 1]
    result = paper_results(trace, "blocks1.1", number)
    arrays = result.arrays()
    for index, column in enumerate(stored["columns"][1:], start=1):
        printed = [(row, values[index]) for row, values in enumerate(stored["rows"]) if values[index] is not None]
        assert arrays[column].tolist() == [value for _, value in printed]
        if len(printed) < len(stored["rows"]):
            assert arrays[f"{column}.rows"].tolist() == [row for row, _ in printed]
    for language in LANGUAGES:
        say = texts_in(language)
        figure = VIEW.draw(result, say, True)
        markers = [drawn for drawn in figure.data if "markers" in drawn.mode]
        assert len(markers) == 2 * len(stored["scores"])
        for score, others, ours in zip(stored["scores"], markers[::2], markers[1::2], strict=True):
            assert _drawn(others, ours) == set(zip(*(_present(result, stored["cost"], score)), strict=True))
            hovers = " ".join([*others.customdata, *ours.customdata])
            assert all(row[0] in hovers for row in stored["rows"] if row[stored["columns"].index(score)] is not None)
            assert all(model in " ".join(ours.customdata) for model in stored["ours"])
            assert "CVPR 2025" in ours.customdata[0]
        captions = " ".join(annotation.text for annotation in figure.layout.annotations)
        assert "CVPR 2025" in captions
        assert trace.weights not in captions  # nothing was measured with these weights
        assert "arXiv:2503.23135" in VIEW.tell(result, say)


def _drawn(*markers: go.Scatter) -> set[tuple[float, float]]:
    return {point for drawn in markers for point in zip(drawn.x, drawn.y, strict=True)}


def _present(result: PaperResults, cost: str, score: str) -> Iterator[list[float]]:
    rows = zip(result.table.column(cost), result.table.column(score), strict=True)
    yield from (list(column) for column in zip(*((c, s) for c, s in rows if s is not None), strict=True))


def test_closed_forms_stand_beside_the_papers_numbers(trace: ForwardTrace) -> None:
    told = VIEW.tell(paper_results(trace, "blocks1.1", 1), texts_in("en"))
    assert "LSNet-T 0.316 (0.3) · LSNet-S 0.538 (0.5) · LSNet-B 1.244 (1.3)" in told
    assert "LSNet-S: mIoU % 41.6" in VIEW.tell(paper_results(trace, "blocks1.1", 3), texts_in("en"))
    assert paper_results(trace, "blocks1.1", 9).closed_forms == {}


def test_the_papers_tables_are_complete() -> None:
    paper = lsnet_paper()
    assert list(paper.tables) == list(range(1, 10))
    assert "CVPR 2025" in paper.source
    for table in paper.tables.values():
        assert {len(values) for _, values in table.rows} == {len(table.columns) - 1}
        assert {table.cost, *table.scores} <= set(table.columns)
        assert {*table.ours, *table.released} <= set(table.models)
        assert len(set(table.models)) == len(table.models)
        assert None not in table.column(table.cost)


@pytest.mark.parametrize(
    ("show", "quantity"), [("scaling", "macs"), ("scaling", "bytes"), ("model", "macs"), ("paper", "macs")]
)
def test_every_look_at_an_elongated_picture(
    predictor: lsnet.Predictor, hurried: None, show: str, quantity: str
) -> None:
    strip, picture = predictor.framed(96, "whole"), Image.new("RGB", (2000, 33))
    subject = Subject(strip, picture, trace_image(strip, picture, blocks=[]), "blocks4.3", (0, 0))
    results = list(VIEW.results(subject, {"show": show, "quantity": quantity, "table": "2"}))
    for result, language in ((results[0], "zh-CN"), (results[-1], "en")):
        say = texts_in(language)
        assert all(np.isfinite(array).all() for array in result.arrays().values())
        written = VIEW.draw(result, say, False).to_json()
        assert not any(word in written for word in ("NaN", "Infinity"))
        assert VIEW.tell(result, say)


def test_analyses_leave_the_model_alone(predictor: lsnet.Predictor, trace: ForwardTrace, hurried: None) -> None:
    model = predictor.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modules = {name: (type(m), len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules()}
    for show in ("scaling", "model", "paper"):
        result = cost(predictor, trace, "blocks4.3", show)  # type: ignore[arg-type]
        if isinstance(result, MixerScaling):
            list(timed(result, predictor))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert modules == {
        name: (type(m), len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules()
    }
    assert not any(parameter.grad is not None for parameter in model.parameters())
