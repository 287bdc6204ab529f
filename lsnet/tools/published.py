"""ImageNet-C, -A, -R and -Sketch as their authors published them: where pictures are, and which classes compete.

Pictures are decoded when they are read and nothing is stored: ImageNet-C alone has 3.75 million.
"""

import copy
import re
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lsnet.errors import InputError
from lsnet.predictor import Predictor
from lsnet.preprocess import Preprocess
from lsnet.tools.corruptions import CORRUPTIONS, SEVERITIES, LazyPixels, Pixels, with_pixels
from lsnet.tools.data import Pictures, Source

WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class Published:
    """A set as its authors published it.

    Attributes:
        name: what it is called.
        folder: what its archive unpacks to; empty where there are several archives.
        layout: where pictures are.
        classes: how many there are.
        pictures: how many there are, in each condition.
        closed: whether only the set's own classes compete, as its authors do it for those with 200.
    """

    name: str
    folder: str
    layout: str
    classes: int
    pictures: int
    closed: bool = False

    def folders(self, path: Path) -> dict[tuple[str, int], Path]:
        """Folders of classes by corruption and severity; the one folder at ``("", 0)`` of a set without corruptions.

        Args:
            path: what the archive unpacked to, or the folder that holds it.

        Raises:
            InputError: the folder is not laid out as published.
        """
        found = {("", 0): _inside(path, self.folder)} if self.folder else self._conditions(path)
        if not found or not all(map(_holds_classes, found.values())):
            names = sorted(entry.name for entry in path.iterdir())[:3] if path.is_dir() else []
            raise InputError(
                "data.layout",
                f"{path.name!r} is not laid out as {self.name} is published: expected {self.layout} in an unpacked "
                f"folder, found {', '.join(names) or 'nothing'}",
                path=path.name,
                set=self.name,
            )
        return found

    def _conditions(self, path: Path) -> dict[tuple[str, int], Path]:
        """All severities of every corruption that is there; archives unpack to corruptions, or to groups of them."""
        candidates = {name: [path / name, *sorted(path.glob(f"*/{name}"))] for name in CORRUPTIONS}
        chosen = {name: next((f for f in folders if f.is_dir()), None) for name, folders in candidates.items()}
        return {(name, s): folder / str(s) for name, folder in chosen.items() if folder for s in SEVERITIES}


IMAGENET_C = Published("ImageNet-C", "", "<corruption>/<severity, 1 to 5>/<wnid>/<picture>", 1000, 50_000)
IMAGENET_A = Published("ImageNet-A", "imagenet-a", "imagenet-a/<wnid>/<picture>", 200, 7_500, closed=True)
IMAGENET_R = Published("ImageNet-R", "imagenet-r", "imagenet-r/<wnid>/<picture>", 200, 30_000, closed=True)
IMAGENET_SKETCH = Published("ImageNet-Sketch", "sketch", "sketch/<wnid>/<picture>", 1000, 50_889)

# By the option that names their folder.
PUBLISHED: Mapping[str, Published] = {
    "imagenet_c": IMAGENET_C,
    "imagenet_a": IMAGENET_A,
    "imagenet_r": IMAGENET_R,
    "imagenet_sketch": IMAGENET_SKETCH,
}


def published_pictures(
    published: Published, folder: Path, predictor: Predictor, known_classes: bool, threads: Executor
) -> tuple[Predictor, Pictures]:
    """The pictures of a folder of classes, and the network for the classes that compete.

    Args:
        published: the set that it belongs to.
        folder: ``<wnid>/<picture>``, out of :meth:`Published.folders`.
        predictor: its preprocessing is what pictures go through.
        known_classes: whether to leave out pictures of classes that the weights do not know.
        threads: where to decode.

    Raises:
        InputError: the weights do not know a class (and ``known_classes`` is not set), or know none.
    """
    categories = set(_subfolders(folder))
    unknown = categories - {label.id for label in predictor.classes}
    if unknown == categories or (unknown and not known_classes):
        raise InputError(
            "data.classes",
            f"these weights do not know {len(unknown)} of the {len(categories)} classes of {published.name}, such as "
            f"{min(unknown)!r}; where they know some, --known-classes leaves the others out",
            set=published.name,
        )
    if published.closed:
        predictor = restricted(predictor, categories)
    members = Source(folder, held_out=1.0, exclude=tuple(unknown)).members()["val"]
    number = {label.id: index for index, label in enumerate(predictor.classes)}
    paths = [folder / member for member in members]

    def make(rows: npt.NDArray[np.int64]) -> Iterator[Pixels]:
        return threads.map(partial(_view, predictor.preprocess), [paths[row] for row in rows])

    pictures = Pictures(
        published.name,
        np.empty((0, 0, 0, 3), np.uint8),
        np.full(len(members), np.nan, np.float32),  # aspects are not known before the pictures are opened
        np.array([number[category] for category in members.values()], np.int64),
        tuple(number),
        tuple(members),
        (),
    )
    return predictor, with_pixels(pictures, LazyPixels(make))


def class_stamps(folder: Path) -> list[str]:
    """Of each class in a folder of classes, its name and when it last gained or lost a picture, in ns."""
    return [f"{name} {(folder / name).stat().st_mtime_ns}" for name in sorted(_subfolders(folder))]


def restricted(predictor: Predictor, ids: Collection[str]) -> Predictor:
    """The same network with only some of its classes, in its own order."""
    rows = [index for index, label in enumerate(predictor.classes) if label.id in ids]
    model = copy.deepcopy(predictor.lsnet)
    model.reset_classifier(len(rows))
    for name in ("head", "head_dist") if model.config.distilled else ("head",):
        state = predictor.model.get_submodule(name).state_dict()
        model.get_submodule(name).load_state_dict(state | {key: state[key][rows] for key in ("l.weight", "l.bias")})
    card = replace(predictor.card, classes=tuple(predictor.classes[row] for row in rows))
    return replace(predictor, model=model, card=card)


def _view(preprocess: Preprocess, path: Path) -> Pixels:
    try:
        with Image.open(path) as picture:
            return np.asarray(preprocess.view(picture.convert("RGB")))
    except Exception as error:  # every way in which a damaged file can fail to decode
        raise InputError(
            "data.undecodable",
            f"{path.parent.name}/{path.name} cannot be decoded, and without it the numbers would not be those of the "
            "set: unpack it again",
            path=path.name,
        ) from error


def _inside(path: Path, folder: str) -> Path:
    return path / folder if (path / folder).is_dir() else path


def _subfolders(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []


def _holds_classes(path: Path) -> bool:
    names = _subfolders(path)
    return bool(names) and all(map(WNID.fullmatch, names))
