"""A set of pictures that can be learned in seconds: reddish and bluish noise."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINTS = {"blue": (40, 40, 200), "red": (200, 40, 40)}


def picture(tint: tuple[int, int, int], seed: int, size: tuple[int, int] = (50, 40)) -> Image.Image:
    """Noise of a tint; ``size`` is (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 55, (size[1], size[0], 3))
    return Image.fromarray((noise + np.array(tint)).astype(np.uint8))


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``<class>/<number>.png``, 20 pictures of each of two classes, without splits."""
    root = tmp_path_factory.mktemp("pictures") / "tints"
    for category, tint in TINTS.items():
        (root / category).mkdir(parents=True)
        for i in range(20):
            picture(tint, i).save(root / category / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def split_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of ``train/…`` and ``val/…``, three and two pictures of each class."""
    path = tmp_path_factory.mktemp("tar") / "splits.tar"
    with tarfile.open(path, "w") as archive:
        for split, count in (("train", 3), ("val", 2)):
            for category, tint in TINTS.items():
                for i in range(count):
                    data = io.BytesIO()
                    picture(tint, i).save(data, "PNG")
                    info = tarfile.TarInfo(f"{split}/{category}/{split}{i}.png")
                    info.size = len(data.getvalue())
                    data.seek(0)
                    archive.addfile(info, data)
    return path
