"""Robustness: published layouts in miniature, numbers that follow by hand, results that are continued and not mixed."""

import csv
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch

import lsnet
from lsnet.errors import InputError
from lsnet.predictor import load_predictor
from lsnet.tools import corruptions, robustness
from lsnet.tools.corruptions import ALEXNET_ERRORS, CORRUPTIONS, SEVERITIES
from lsnet.tools.published import IMAGENET_C, PUBLISHED, restricted
from lsnet.tools.robustness import main
from tests.conftest import randomize
from tests.lsnet.tools.conftest import TINTS, picture
from tests.lsnet.tools.test_validate import weights
from tests.marks import needs_corruptions

# Wnids of a blue and a red class, and of one that no set here has.
BLUE, OTHER, RED = "n00000001", "n00000002", "n00000003"


def classes_of(folder: Path, counts: dict[str, int]) -> Path:
    """``<wnid>/<picture>``: 64 pixels a side, reddish or bluish."""
    for wnid, count in counts.items():
        (folder / wnid).mkdir(parents=True)
        for i in range(count):
            picture(TINTS["red" if wnid == RED else "blue"], i, (64, 64)).save(folder / wnid / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def imagenet_c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One blue and one red picture of each condition; half of the corruptions in a folder of their group."""
    root = tmp_path_factory.mktemp("sets") / "imagenet-c"
    for index, name in enumerate(CORRUPTIONS):
        for severity in SEVERITIES:
            classes_of(root / ("group" if index % 2 else "") / name / str(severity), {BLUE: 1, RED: 1})
    return root


@pytest.fixture
def sees_red(tmp_path: Path) -> Path:
    """Weights of three classes that call everything red."""
    return weights(tmp_path / "w.safetensors", (BLUE, RED, OTHER))


def run(output: Path, *words: object) -> dict[str, dict]:
    main([*map(str, words), "--output", str(output), "--workers", "0"])
    return json.loads((output / "robustness.json").read_text())


def test_imagenet_c_by_hand(imagenet_c: Path, sees_red: Path, tmp_path: Path) -> None:
    written = run(tmp_path / "out", "--weights", sees_red, "--imagenet-c", imagenet_c, "--size", 32)
    (entry,) = written["summary"].values()
    # Half of the pictures are red: an error of one half everywhere.
    assert entry["mce"] == pytest.approx(sum(0.5 / error for error in ALEXNET_ERRORS.values()) / 15)
    assert entry["ce"]["fog"] == pytest.approx(0.5 / 0.819324)
    assert entry["as_published"] is False  # 2 of 50,000 pictures
    assert len(written["rows"]) == 75
    with (tmp_path / "out" / "robustness.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {(row["corruption"], row["severity"]) for row in table} == {
        (name, str(severity)) for name in CORRUPTIONS for severity in SEVERITIES
    }
    assert {(row["pictures"], row["accuracy"], row["weights"]) for row in table} == {("2", "0.5", "w.safetensors")}
    torch_version = torch.__version__.split("+")[0]
    assert all(f"torch {torch_version}" in row["versions"] for row in table)
    assert written["command"].startswith("python -m lsnet.tools.robustness --weights w.safetensors --imagenet-c")


def test_a_stopped_measurement_goes_on(
    imagenet_c: Path,
    sees_red: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    part = tmp_path / "imagenet-c"
    for name in ("fog", "snow"):
        (found,) = [*imagenet_c.glob(name), *imagenet_c.glob(f"group/{name}")]
        shutil.copytree(found, part / name)
    real, measured = robustness.validate, []

    def stopping(*arguments):  # type: ignore[no-untyped-def]
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(robustness, "validate", stopping)
    words = ("--weights", sees_red, "--imagenet-c", part)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", *words)
    monkeypatch.setattr(robustness, "validate", real)
    written = run(tmp_path / "out", *words)
    printed = capsys.readouterr().out
    assert "7 of 7: ImageNet-C" in printed  # 3 of 10 were measured before
    assert "no mCE without gaussian_noise, shot_noise" in printed
    assert len({(row["corruption"], row["severity"]) for row in written["rows"]}) == len(written["rows"]) == 10
    assert written["summary"]["ImageNet-C"]["mce"] is None
    with pytest.raises(InputError, match="results of another size: give another --output"):
        run(tmp_path / "out", *words, "--size", 32)


def test_a_folder_that_gained_a_picture_is_another_set(sees_red: Path, tmp_path: Path) -> None:
    pictures = classes_of(tmp_path / "imagenet-r", {RED: 1})
    words = ("--weights", sees_red, "--imagenet-r", pictures)
    first, again = (run(tmp_path / "out", *words)["rows"] for _ in range(2))
    assert again == first
    shutil.copy(next((pictures / RED).iterdir()), pictures / RED / "more.png")
    with pytest.raises(InputError, match="results of other pictures of ImageNet-R: give another --output"):
        run(tmp_path / "out", *words)


def test_the_two_hundred_classes_compete_among_themselves(tmp_path: Path) -> None:
    path = weights(tmp_path / "w.safetensors", (BLUE, OTHER, RED))  # calls everything OTHER
    pictures = classes_of(tmp_path / "sets" / "imagenet-a", {BLUE: 2, RED: 1})
    shutil.copytree(pictures, tmp_path / "sketch")
    both = ("--imagenet-a", pictures.parent, "--imagenet-sketch", tmp_path / "sketch")
    found = run(tmp_path / "out", "--weights", path, *both)["summary"]
    assert found["ImageNet-Sketch"]["top1"] == 0
    # Without OTHER, blue and red are equally likely, and the first of equals is taken.
    assert found["ImageNet-A"]["top1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["lsnet_n", "lsnet_t_distill"])
def test_restricted_logits_are_those_of_the_whole_network(name: str) -> None:
    predictor = load_predictor(f"untrained/{name}", "cpu")
    randomize(predictor.model)
    keep = [3, 500, 999]
    part = restricted(predictor, {predictor.classes[index].id for index in reversed(keep)})
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(part.model(x), predictor.model(x)[:, keep])
        assert predictor.model(x).shape == (1, 1000)
    assert part.classes == tuple(predictor.classes[index] for index in keep)
    assert isinstance(part.model, lsnet.LSNet)


def test_unknown_classes_are_refused_or_left_out(sees_red: Path, tmp_path: Path) -> None:
    pictures = classes_of(tmp_path / "imagenet-r", {RED: 1, "n00000009": 2})
    words = ("--weights", sees_red, "--imagenet-r", pictures)
    with pytest.raises(InputError, match="do not know 1 of the 2 classes of ImageNet-R, such as 'n00000009'"):
        run(tmp_path / "out", *words)
    (row,) = run(tmp_path / "out", *words, "--known-classes")["rows"]
    assert (row["pictures"], row["classes"], row["accuracy"], row["as_published"]) == (1, 1, 1, False)


@pytest.mark.parametrize(
    ("option", "made", "told"),
    [
        ("imagenet_c", "fog/1/n00000001", "expected <corruption>/<severity, 1 to 5>/<wnid>/<picture>"),  # no severity 2
        ("imagenet_c", "n00000001", "found n00000001"),
        ("imagenet_a", "fog/1/n00000001", "expected imagenet-a/<wnid>/<picture> in an unpacked folder, found fog"),
        ("imagenet_sketch", "sketch/dog", "is not laid out as ImageNet-Sketch is published"),
        ("imagenet_r", "", "found nothing"),
    ],
)
def test_wrong_folders_are_refused(option: str, made: str, told: str, tmp_path: Path) -> None:
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    with pytest.raises(InputError, match=told):
        PUBLISHED[option].folders(tmp_path)


def test_an_archive_that_was_not_unpacked_is_refused(split_tar: Path) -> None:
    with pytest.raises(InputError, match=r"'splits\.tar' is not laid out as ImageNet-C is published"):
        IMAGENET_C.folders(split_tar)


def test_a_damaged_picture_is_named(sees_red: Path, tmp_path: Path) -> None:
    pictures = classes_of(tmp_path / "imagenet-r", {RED: 1})
    (pictures / RED / "z.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"n00000003/z\.jpg cannot be decoded"):
        run(tmp_path / "out", "--weights", sees_red, "--imagenet-r", pictures)


@needs_corruptions
def test_corruptions_made_here_are_no_imagenet_c(
    split_tar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights(tmp_path / "w.safetensors", ("blue", "red", "other"))
    chosen = ("--corruptions", "contrast", "--limit", 3, "--cache", tmp_path / "cache")
    written = run(tmp_path / "out", "--weights", path, "--data", split_tar, *chosen)
    (entry,) = written["summary"].values()
    assert entry.keys().isdisjoint({"mce", "ce", "as_published"})
    assert list(entry["errors"]) == ["contrast"]
    assert entry["errors"]["contrast"] == entry["mean_error"] == pytest.approx(1 - entry["top1"])
    assert [row["severity"] for row in written["rows"]] == [0, 1, 2, 3, 4, 5]
    assert {row["pictures"] for row in written["rows"]} == {3}
    assert written["versions"][corruptions.PACKAGE] == corruptions.package_version()
    assert "mCE" not in capsys.readouterr().out
    fewer = tmp_path / split_tar.name
    with tarfile.open(split_tar) as whole, tarfile.open(fewer, "w") as part:
        for info in whole.getmembers():
            if info.name != "val/blue/val0.png":
                part.addfile(info, whole.extractfile(info))
    with pytest.raises(InputError, match="results of other pictures of splits: give another --output"):
        run(tmp_path / "out", "--weights", path, "--data", fewer, *chosen)


def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    pictures = classes_of(tmp_path / "imagenet-a", {BLUE: 3, RED: 2})
    given = ["--weights", weights(tmp_path / "w.safetensors", (BLUE, RED)), "--imagenet-a", pictures, "--size", 32]
    one = run(tmp_path / "one", *given)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    words = [*given, "--workers", 0, "--output", tmp_path / "two"]
    subprocess.run(
        [*launcher, "lsnet.tools.robustness", *map(str, words)],
        check=True,
        capture_output=True,
        timeout=600,
        cwd=Path(__file__).parents[3],
        env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert json.loads((tmp_path / "two" / "robustness.json").read_text())["rows"] == one["rows"]
