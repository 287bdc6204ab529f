"""``python -m lsnet.tools.tiny_set``: a folder of pictures to try the other tools on, cut from the bundled photos.

Three classes that the bundled weights know, as ``<split>/<class id>/<number>.jpg``: enough to see a command work, and
nothing to measure with.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES_DIR = Path(__file__).resolve().parents[2] / "assets" / "examples"
CLASSES: Mapping[str, str] = {"church": "n03028079", "panda": "panda", "pyramid": "pyramid"}  # photo and class id
COUNTS: Mapping[str, int] = {"train": 8, "val": 4}  # pictures of each class
SIDE = 160  # pixels


def write(folder: Path) -> None:
    """Cut windows of half to all of each photo's shorter side; always the same ones."""
    random = np.random.default_rng(0)
    for photo, class_id in CLASSES.items():
        with Image.open(EXAMPLES_DIR / f"{photo}.jpg") as picture:
            for split, count in COUNTS.items():
                target = folder / split / class_id
                target.mkdir(parents=True, exist_ok=True)
                for number in range(count):
                    side = int(random.integers(min(picture.size) // 2, min(picture.size) + 1))
                    left, top = (int(random.integers(0, length - side + 1)) for length in picture.size)
                    window = picture.crop((left, top, left + side, top + side))
                    window.resize((SIDE, SIDE)).save(target / f"{number}.jpg")


def main(argv: Sequence[str] | None = None) -> None:
    """Write a tiny set of pictures, to try the tools on."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.tiny_set", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args(argv).folder)


if __name__ == "__main__":
    main()
