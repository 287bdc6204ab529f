"""The toy set: what the tools' commands are tried on."""

from pathlib import Path

from PIL import Image

from lsnet.predictor import load_predictor
from lsnet.tools.tiny_set import CLASSES, main


def test_windows_of_classes_that_the_bundled_weights_know(tmp_path: Path) -> None:
    main([str(tmp_path)])
    known = {label.id for label in load_predictor("bundled", "cpu").classes}
    for split, count in (("train", 8), ("val", 4)):
        folders = {folder.name: list(folder.iterdir()) for folder in (tmp_path / split).iterdir()}
        assert set(folders) == set(CLASSES.values()) <= known
        assert {len(files) for files in folders.values()} == {count}
    with Image.open(tmp_path / "val" / "panda" / "0.jpg") as window:
        assert window.size == (160, 160)
