"""The benchmarks: alternatives compute the same thing, take turns, and report ratios that follow from the times."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lsnet.ops import ska_reference
from lsnet.tools import benchmark
from lsnet.tools.timing import Timing, compare, report


def test_the_alternative_is_the_same_operation() -> None:
    x, w = torch.randn(2, 16, 5, 7), torch.randn(2, 4, 9, 5, 7)
    torch.testing.assert_close(benchmark.ska_by_unfold(x, w), ska_reference(x, w), rtol=1e-5, atol=1e-5)


def test_alternatives_take_turns_and_ratios_follow_from_medians() -> None:
    calls: list[str] = []
    timings = compare("case", {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, "a", seconds=0)
    assert calls == ["a", "a", "b", "b", *["a", "b"] * 5]  # warm-up, then in turns
    assert [t.name for t in timings] == ["a", "b"]
    for t in timings:
        assert t.low_ms <= t.median_ms <= t.high_ms
        assert t.ratio == pytest.approx(timings[0].median_ms / t.median_ms)


def test_report_writes_the_numbers_with_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report([Timing("case", "a", 2.0, 1.0, 3.0, 1.0, "a")], tmp_path / "numbers.json")
    written = json.loads((tmp_path / "numbers.json").read_text())
    assert written["timings"][0]["median_ms"] == 2.0
    assert written["machine"]["torch"] == torch.__version__
    assert written["machine"]["processor"]
    assert "2.000 ms" in capsys.readouterr().out


def test_every_ska_shape_of_a_variant() -> None:
    assert benchmark.ska_shapes("t") == [(128, 14, 14), (256, 7, 7)]
    assert benchmark.ska_shapes("b") == [(128, 28, 28), (256, 14, 14), (384, 7, 7)]


@pytest.mark.parametrize("what", ["ska", "model", "capture"])
def test_from_the_command_line(what: str, tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    command = [sys.executable, "-m", "lsnet.tools.benchmark", what, "--batch", "1", "--seconds", "0", "--threads", "1"]
    subprocess.run([*command, "--json", str(path)], check=True, capture_output=True, timeout=600)
    timings = json.loads(path.read_text())["timings"]
    baseline = {"ska": "unfold", "model": "with unfold", "capture": "plain forward"}[what]
    assert {entry["baseline"] for entry in timings} == {baseline}
    assert all(entry["ratio"] == 1 for entry in timings if entry["name"] == baseline)
