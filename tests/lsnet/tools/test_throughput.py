"""The paper's throughput: largest batch that fits, time that adds up, a network that is left as it was."""

import json
from pathlib import Path

import pytest
import torch

from lsnet.predictor import load_predictor
from lsnet.registry import create_lsnet
from lsnet.tools import timing
from lsnet.tools.timing import throughput
from lsnet.tools.validate import main
from tests.lsnet.tools.test_validate import weights


class Clock:
    """Time that passes only where the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batch sizes of all passes, each of which takes 0.1 s a picture; more than 4 pictures do not fit."""
    clock, sizes = Clock(), []

    def forward(model: torch.nn.Module, x: torch.Tensor) -> None:
        if len(x) > 4:
            raise torch.OutOfMemoryError("too many")
        sizes.append(len(x))
        clock.now += 0.1 * len(x)

    monkeypatch.setattr("lsnet.model.LSNet.forward", forward)
    monkeypatch.setattr(timing.time, "perf_counter", clock)
    return sizes


def test_the_largest_power_of_two_that_fits(passes: list[int]) -> None:
    speed = throughput(create_lsnet("lsnet_n"), 32, warm_up=1.0, seconds=1.0)
    assert speed.pictures_per_second == pytest.approx(10)  # 0.1 s a picture
    assert (speed.batch_size, speed.passes) == (4, 3)  # 16 and 8 do not fit; 0.4 s each until 1 s is full
    assert passes == [4] * (1 + 3 + 3)  # to see whether it fits, to warm up, timed


def test_not_even_one_picture(passes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(model: torch.nn.Module, x: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("nothing fits")

    monkeypatch.setattr("lsnet.model.LSNet.forward", never)
    with pytest.raises(torch.OutOfMemoryError, match="nothing fits"):
        throughput(create_lsnet("lsnet_n"), 32)


def test_the_network_stays_as_it_was() -> None:
    model = load_predictor("untrained/lsnet_n", "cpu").model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    speed = throughput(model, 32, warm_up=0, seconds=0, most=2)
    assert (speed.batch_size, speed.passes) == (2, 1)
    assert speed.pictures_per_second > 0
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_validate_tells_it(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = weights(tmp_path / "w.safetensors", ("blue", "red"))
    given = ["--weights", str(path), "--data", str(tree), "--cache", str(tmp_path / "cache")]
    timed = ["--throughput", "paper", "--throughput-seconds", "0", "0", "--json", str(tmp_path / "r.json")]
    main([*given, *timed])
    outcome = json.loads((tmp_path / "r.json").read_text())
    speed = outcome["throughput"]
    assert (speed["batch_size"], speed["passes"]) == (16, 1)
    assert outcome["machine"]["torch"] == torch.__version__
    assert f"{speed['pictures_per_second']:.0f} pictures a second in batches of 16" in capsys.readouterr().out
