"""Pictures: found in trees and tars, split without chance, decoded once, broken ones reported and left out."""

import argparse
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsnet.errors import InputError
from lsnet.preprocess import Preprocess
from lsnet.tools import data
from lsnet.tools.data import Source, held_out_pictures, joint_classes, training_pictures
from lsnet.tools.sets import add_set_arguments, sources_of


def test_a_fifth_of_each_class_is_held_out(tree: Path) -> None:
    members = Source(tree).members()
    for split, count in (("train", 16), ("val", 4)):
        labels = list(members[split].values())
        assert {name: labels.count(name) for name in set(labels)} == {"blue": count, "red": count}
    assert not set(members["train"]) & set(members["val"])


def test_the_split_depends_on_file_names_alone(tree: Path, tmp_path: Path) -> None:
    members = Source(tree).members()
    moved = shutil.copytree(tree, tmp_path / "elsewhere")
    assert Source(moved).members() == members
    # One photo under two classes is on one side in both.
    numbers = {
        category: {Path(m).stem for m, c in members["val"].items() if c == category} for category in ("red", "blue")
    }
    assert numbers["red"] == numbers["blue"]


def test_a_tree_with_splits_keeps_them(split_tar: Path) -> None:
    members = Source(split_tar).members()
    assert {split: len(part) for split, part in members.items()} == {"train": 6, "val": 4}
    assert members["val"]["val/red/val1.png"] == "red"


def test_excluded_folders_are_no_classes(tree: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tree, tmp_path / "tints")
    shutil.copytree(copy / "red", copy / "BACKGROUND_Google")
    assert joint_classes([Source(copy)]) == ("blue", "red")
    assert joint_classes([Source(copy, exclude=())]) == ("BACKGROUND_Google", "blue", "red")


def test_dots_in_a_name_do_not_mix_up_the_cache(tree: Path, tmp_path: Path) -> None:
    dotted = Source(shutil.copytree(tree, tmp_path / "tints.v1.0"))
    cache, classes = tmp_path / "cache", ("blue", "red")
    assert len(training_pictures(dotted, classes, 32, cache)) == 32
    assert len(held_out_pictures(dotted, classes, Preprocess(size=32), cache)) == 8
    assert held_out_pictures(dotted, classes, Preprocess(size=40), cache).pixels.shape[1] == 40


def test_only_a_sets_own_folders_are_read(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree, tmp_path / "root" / "train")
    shutil.copytree(tree / "blue", tmp_path / "root" / "another_set" / "green")
    source = Source(tmp_path / "root", folders=("train", "val"), called="mine")
    assert joint_classes([source]) == ("blue", "red")
    assert source.name == "mine"


def test_sets_of_one_name_are_refused(tree: Path, tmp_path: Path) -> None:
    again = shutil.copytree(tree, tmp_path / tree.name)
    parser = argparse.ArgumentParser()
    add_set_arguments(parser)
    with pytest.raises(InputError, match="different names, got tints, tints"):
        sources_of(parser.parse_args(["--data", str(tree), str(again)]))


def test_joined_sets_share_classes(tree: Path, split_tar: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in ("green", "blue"):
        shutil.copytree(tree / "blue", other / name)
    assert joint_classes([Source(split_tar), Source(other)]) == ("blue", "red", "green")


def test_training_pictures_are_whole_and_square(tree: Path, tmp_path: Path) -> None:
    pictures = training_pictures(Source(tree), ("blue", "red"), 32, tmp_path)
    assert pictures.pixels.shape == (32, 32, 32, 3)
    assert pictures.aspects == pytest.approx(50 / 40)
    reds = pictures.pixels[pictures.labels == 1].mean(axis=(0, 1, 2))
    assert reds[0] > reds[2] + 100


def test_held_out_pictures_are_what_the_protocol_sees(tree: Path, tmp_path: Path) -> None:
    preprocess = Preprocess(size=40)
    pictures = held_out_pictures(Source(tree), ("blue", "red"), preprocess, tmp_path)
    expected = preprocess.view(Image.open(tree / pictures.members[0]).convert("RGB"))
    np.testing.assert_array_equal(pictures.pixels[0], np.asarray(expected))


def test_decoded_once(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = training_pictures(Source(tree), ("blue", "red"), 32, tmp_path)
    monkeypatch.setattr(Source, "read", lambda *_: pytest.fail("decoded again"))
    again = training_pictures(Source(tree), ("blue", "red"), 32, tmp_path)
    np.testing.assert_array_equal(first.pixels, again.pixels)


def test_a_picture_that_was_repaired_is_decoded_anew(tree: Path, tmp_path: Path) -> None:
    source = Source(shutil.copytree(tree, tmp_path / "tints"), held_out=0)
    repaired = source.path / "red" / "0.png"
    whole = repaired.read_bytes()
    repaired.write_bytes(whole[:200])
    assert training_pictures(source, ("blue", "red"), 32, tmp_path / "cache").broken == ("red/0.png",)
    repaired.write_bytes(whole)
    assert training_pictures(source, ("blue", "red"), 32, tmp_path / "cache").broken == ()


def test_a_broken_picture_is_reported_and_skipped(tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copy = shutil.copytree(tree, tmp_path / "tints")
    for name, content in (("a_cut.png", (tree / "red/0.png").read_bytes()[:200]), ("b_text.jpg", b"no picture")):
        (copy / "red" / name).write_bytes(content)
    with caplog.at_level(logging.WARNING, logger=data.__name__):
        pictures = training_pictures(Source(copy, held_out=0), ("blue", "red"), 32, tmp_path / "cache")
    assert pictures.broken == ("red/a_cut.png", "red/b_text.jpg")
    assert len(pictures) == 40
    assert pictures.labels.tolist() == [0] * 20 + [1] * 20
    assert "red/a_cut.png" in caplog.text
    assert "red/b_text.jpg" in caplog.text


def test_nothing_to_read_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no pictures at"):
        Source(tmp_path / "missing")
    with pytest.raises(InputError, match="expected <class>/<picture>"):
        Source(tmp_path).members()
    (tmp_path / "note.txt").write_text("no tar")
    with pytest.raises(InputError, match="neither a folder nor a tar"):
        Source(tmp_path / "note.txt").members()
