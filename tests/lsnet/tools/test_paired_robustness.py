"""Weights side by side on the same corrupted pictures: by hand, against scipy's bootstrap, continued and not mixed."""

import csv
from pathlib import Path

import numpy as np
import pytest

from lsnet.errors import InputError
from lsnet.predictor import load_predictor
from lsnet.tools import paired_robustness
from lsnet.tools.corruptions import CORRUPTIONS
from lsnet.tools.data import Pictures
from lsnet.tools.paired_robustness import KINDS, Answers, fill, main, markdown, summary, with_interval
from lsnet.tools.zoo import SEEDS
from lsnet.weights import BUNDLED_DIR, zoo_name
from tests.lsnet.tools.test_validate import weights
from tests.marks import needs_corruptions

CONDITIONS = [("", 0), ("fog", 1), ("pixelate", 5)]


def answers(path: Path, right: list[list[list[int]]]) -> Answers:
    made = Answers(path, {}, (len(right), len(right[0][0])), CONDITIONS)
    made.right[:] = right
    return made


def test_the_four_kinds_are_all_corruptions() -> None:
    assert sorted(name for names in KINDS.values() for name in names) == sorted(CORRUPTIONS)


def test_a_summary_by_hand(tmp_path: Path) -> None:
    # Four pictures. The first weights know three and lose one of them in fog, the second know all and lose all.
    made = answers(tmp_path / "a.npz", [[[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 0]], [[1, 1, 1, 1], [0] * 4, [0] * 4]])
    first, second = summary(made, ["a", "b"])
    assert (first["clean"], second["clean"]) == (0.75, 1.0)
    assert (first["corrupted"], second["corrupted"]) == (5 / 8, 0.0)
    assert (first["weather"], first["digital"]) == (0.5, 0.75)
    assert "noise" not in first  # not measured
    assert first["kept"] == pytest.approx((5 / 8) / (3 / 4))
    assert second["against_first"] == -5 / 8
    assert second["against_first_low"] < -5 / 8 < second["against_first_high"] <= 0
    assert first["against_first_low"] == first["against_first_high"] == 0.0
    table = markdown([{"set": "s"} | row for row in (first, second)])
    assert "| s | `b` | 100.0 [100.0, 100.0] | 0.0 [0.0, 0.0] | 0.0 [0.0, 0.0] | -62.5 [" in table


def test_the_interval_of_a_share_is_about_the_binomial_one() -> None:
    values = np.repeat([1.0, 0.0], [60, 140])
    found = with_interval("x", values)
    spread = 1.96 * np.sqrt(0.3 * 0.7 / 200)
    assert found["x"] == pytest.approx(0.3)
    assert found["x_low"] == pytest.approx(0.3 - spread, abs=0.012)
    assert found["x_high"] == pytest.approx(0.3 + spread, abs=0.012)


def test_a_paired_difference_is_surer_than_its_parts() -> None:
    random = np.random.default_rng(0)
    one = random.random(200)
    other = one + random.normal(0.05, 0.01, 200)
    difference, part = with_interval("d", other - one), with_interval("p", one)
    assert difference["d_low"] > 0.04
    assert difference["d_high"] - difference["d_low"] < (part["p_high"] - part["p_low"]) / 5


def test_answers_of_other_weights_are_not_continued(tmp_path: Path) -> None:
    Answers(tmp_path / "a.npz", {"weights": "x"}, (1, 2), CONDITIONS).save()
    assert Answers(tmp_path / "a.npz", {"weights": "x"}, (1, 2), CONDITIONS).lacks(0)
    with pytest.raises(InputError, match="another --output"):
        Answers(tmp_path / "a.npz", {"weights": "y"}, (1, 2), CONDITIONS)


def test_only_what_is_missing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load_predictor(weights(tmp_path / "w.safetensors", ("blue", "red")), "cpu").framed(32)
    pixels = np.zeros((3, 32, 32, 3), np.uint8)
    pictures = Pictures("s", pixels, np.ones(3, np.float32), np.array([0, 1, 1]), ("blue", "red"), ("a", "b", "c"), ())
    made = Answers(tmp_path / "a.npz", {}, (1, 3), [("", 0), ("fog", 1)])
    made.right[:, 1] = 1  # as if done before

    def unexpected(*args: object) -> None:
        raise AssertionError("this condition was measured already")

    monkeypatch.setattr(paired_robustness.corruptions, "corrupted", unexpected)
    fill(made, [predictor], pictures, None)
    assert made.right[0].tolist() == [[0, 1, 1], [1, 1, 1]]  # these weights call everything red
    assert not Answers(tmp_path / "a.npz", {}, (1, 3), [("", 0), ("fog", 1)]).lacks(0)


@needs_corruptions
def test_the_command_on_a_folder(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = weights(tmp_path / "w.safetensors", ("blue", "red"))
    words = ["--weights", path, path, "--data", tree, "--held-out", 1, "--cache", tmp_path / "cache"]
    words += ["--corruptions", "brightness", "--severities", 1, 3, "--limit", 10, "--workers", 0]
    main([*map(str, words), "--output", str(tmp_path / "out")])
    assert "| tints |" in capsys.readouterr().out
    with (tmp_path / "out" / "robustness.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["pictures"], row["conditions"], row["against_first"]) for row in rows] == [("10", "2", "0.0")] * 2


def test_the_zoos_table_says_what_was_measured() -> None:
    with (BUNDLED_DIR / "zoo_robustness.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["weights"] for row in rows} == {f"bundled/{zoo_name(mixer)}" for mixer in SEEDS}
    assert markdown(rows) in (BUNDLED_DIR / "README.md").read_text(encoding="utf-8")
