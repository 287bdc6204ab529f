"""The README keeps its word: its Python runs, its pictures exist, its figures are those that were measured."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_pictures_and_files_exist() -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)
    assert len(targets) > 5
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_python_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(code, scope)
    assert (tmp_path / "trace.npz").stat().st_size > 100_000


def measured(name: str) -> dict[tuple[str, str], dict[str, float]]:
    content = json.loads((ROOT / "assets" / "benchmarks" / f"{name}-cpu.json").read_text(encoding="utf-8"))
    return {(entry["case"], entry["name"]): entry for entry in content["timings"]}


def test_the_speeds_are_those_that_were_measured() -> None:
    ska = measured("ska")
    case = "SKA (32, 256, 14, 14) float32"
    forward, backward = (ska[f"{case} {way}", "ska"] for way in ("forward", "backward"))
    depthwise = ska[f"{case} forward", "depthwise 3×3 conv"]
    assert f"SKA forward | {forward['ratio']:.1f} × as fast" in README
    assert f"{forward['median_ms'] / depthwise['median_ms']:.2f} × its time" in README
    assert f"SKA backward | {backward['ratio']:.1f} × as fast" in README
    ways = {
        way: [entry["ratio"] for (case, name), entry in ska.items() if name == "ska" and case.endswith(way)]
        for way in ("forward", "backward")
    }
    assert f"is {min(ways['forward']):.1f} to {max(ways['forward']):.1f} times as fast" in README
    assert f"{min(ways['backward']):.1f} to {max(ways['backward']):.1f} times backward" in README
    overhead = max(1 / entry["ratio"] - 1 for entry in measured("capture").values())
    assert f"at most {overhead:.0%}".replace("%", " %") in README


def test_the_page_was_measured_as_is_told() -> None:
    page = {key: entry["median_ms"] for key, entry in measured("page").items()}
    redraws = [page[f"lsnet_b at {size}", "redraw after a move"] for size in (224, 448)]
    rounds = json.loads((ROOT / "assets" / "benchmarks" / "class-cpu.json").read_text(encoding="utf-8"))["rounds"]
    slowest = [each["opened_seconds"]["slowest"] for each in rounds]
    uploads = [each["uploads"]["seconds"] for each in rounds]
    assert all(each["uploads"]["served_in_order"] for each in rounds)
    text = " ".join(README.split())
    assert f"usable {page['bundled', 'from opening to usable'] / 1000:.1f} s" in text
    alone = page["bundled", "from upload to live kernels, without the forward pass"]
    assert f"live {alone / 1000:.2f} s after the forward pass" in text
    assert f"{redraws[0]:.1f} ms for LSNet-B at 224 pixels and in {redraws[1]:.1f} ms at 448" in text
    assert f"after {min(slowest):.1f} to {max(slowest):.1f} s" in text
    assert f"within {min(uploads):.1f} to {max(uploads):.1f} s" in text
    training = json.loads((ROOT / "assets" / "benchmarks" / "train-cpu.json").read_text(encoding="utf-8"))
    assert f"{training['ratio']:.2f} times as many pictures" in text


def test_the_accuracies_are_those_of_the_model_card() -> None:
    card = (ROOT / "assets" / "weights" / "lsnet_t.md").read_text(encoding="utf-8")
    rates = re.findall(r"\| (?:imagenette|caltech101)\w* \| \d+ \| ([^|]+?) \|", card)
    assert len(rates) == 2
    assert [rate for rate in rates if rate not in README] == []


def test_both_commands_stand_in_the_readme() -> None:
    install = "python3 -m venv .venv && .venv/bin/pip install -r"
    assert f"{install} requirements.txt && .venv/bin/python app.py" in README
    assert f"{install} requirements-dev.txt && .venv/bin/python -m pytest" in README
