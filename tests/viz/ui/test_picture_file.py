"""A picture's file reaches the handlers as it came."""

from pathlib import Path

import pytest
from gradio.data_classes import ImageData
from PIL import Image

from viz.ui.picture_file import PictureFile


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK"])
def test_the_file_is_left_alone(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.tiff"
    Image.new(mode, (20, 10)).save(path)
    assert PictureFile(type="filepath").preprocess(ImageData(path=str(path), orig_name=path.name)) == str(path)


def test_what_is_no_picture_is_left_to_whoever_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    assert PictureFile(type="filepath").preprocess(ImageData(path=str(path))) == str(path)
    assert PictureFile(type="filepath").preprocess(None) is None


def test_in_the_browser_it_is_an_image() -> None:
    assert PictureFile().get_block_name() == "image"
