"""Labelled pictures for training and testing: found once, decoded once, then read from a memory-mapped cache."""

import hashlib
import io
import json
import logging
import tarfile
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from lsnet.errors import InputError
from lsnet.preprocess import Preprocess
from lsnet.tools.writing import write_in_one_step

Split = Literal["train", "val"]
TorchvisionName = Literal["imagenette", "caltech101", "imagenet"]

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
SPLIT_FOLDERS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "val"}
NOT_CLASSES = ("BACKGROUND_Google",)  # Caltech-101's clutter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A set of pictures: an ImageFolder tree, or a tar of one.

    The tree is ``<class>/<picture>``, or ``train/<class>/<picture>`` and ``val/<class>/<picture>``. A tree without
    splits is split here: of each class, the ``held_out`` share of pictures whose file names have the smallest hash is
    for testing. The class does not enter the hash, so that a photo that appears under one name in two classes (as
    Caltech-101's ``Faces`` and ``Faces_easy``) is on the same side in both.

    Attributes:
        path: the folder or the tar.
        held_out: the share of each class kept for testing where the tree has no splits of its own.
        exclude: folders that are no classes.
        folders: the only ones at the top of the tree that belong to the set; empty for all.
        called: what the set is called in tables; by default, the file's or folder's name without its ending.
    """

    path: Path
    held_out: float = 0.2
    exclude: tuple[str, ...] = NOT_CLASSES
    folders: tuple[str, ...] = ()
    called: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.held_out <= 1:
            raise InputError("data.held_out", f"expected held_out in [0, 1], got {self.held_out}")
        if not self.path.exists():
            raise InputError("data.not_found", f"there are no pictures at {self.path}", path=self.path.name)

    @property
    def name(self) -> str:
        return self.called or self.path.stem

    def members(self) -> dict[Split, dict[str, str]]:
        """Of each split, the class of every picture by its path in the tree, in order of path."""
        named: dict[Split, dict[str, str]] = {"train": {}, "val": {}}
        unsplit: dict[str, list[str]] = {}
        for member in sorted(self._paths()):
            *folders, category, _ = PurePosixPath(member).parts
            if category in self.exclude:
                continue
            split = next((SPLIT_FOLDERS[folder] for folder in folders if folder in SPLIT_FOLDERS), None)
            if split:
                named[split][member] = category
            else:
                unsplit.setdefault(category, []).append(member)
        for category, members in unsplit.items():
            held_out = set(sorted(members, key=_name_hash)[: round(self.held_out * len(members))])
            for member in members:
                named["val" if member in held_out else "train"][member] = category
        if not named["train"] and not named["val"]:
            raise InputError(
                "data.empty", f"expected <class>/<picture> under {self.path}, found none", path=self.path.name
            )
        return {split: dict(sorted(members.items())) for split, members in named.items()}

    def stamps(self, members: Iterable[str]) -> list[tuple[int, int]]:
        """Size in bytes and time of change in ns of each member's file, or of the tar: others once pictures change."""
        files = [self.path / member for member in members] if self.path.is_dir() else [self.path]
        return [(state.st_size, state.st_mtime_ns) for state in (file.stat() for file in files)]

    def read(self, wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Path in the tree and encoded bytes of the wanted pictures, in the order that is quick to read."""
        if self.path.is_dir():
            yield from ((member, (self.path / member).read_bytes()) for member in wanted)
            return
        missing = set(wanted)
        with tarfile.open(self.path) as archive:
            for info in archive:
                if info.name in missing and (file := archive.extractfile(info)):
                    missing.discard(info.name)
                    yield info.name, file.read()

    def _paths(self) -> Iterator[str]:
        if self.path.is_dir():
            paths = [path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()]
        else:
            try:
                with tarfile.open(self.path) as archive:
                    paths = [info.name for info in archive if info.isfile()]
            except tarfile.TarError as error:
                raise InputError(
                    "data.not_tar", f"{self.path.name!r} is neither a folder nor a tar", path=self.path.name
                ) from error
        for path in paths:
            parts = PurePosixPath(path)
            ours = not self.folders or parts.parts[0] in self.folders
            if ours and len(parts.parts) >= 2 and parts.suffix.lower() in PICTURE_SUFFIXES:
                yield path


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures of one split, the same side for all, memory-mapped.

    Attributes:
        name: what the set is called.
        pixels: (N, S, S, 3) uint8. For training, whole pictures stretched to the square; for testing, the crop that
            the evaluation protocol sees.
        aspects: (N,) width over height of the pictures before they were stretched.
        labels: (N,) index into ``classes``.
        classes: class names.
        members: paths in their trees; the keys of tables of teacher logits.
        broken: paths of pictures that could not be decoded, which are left out.
    """

    name: str
    pixels: npt.NDArray[np.uint8]
    aspects: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    members: tuple[str, ...]
    broken: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def drawn(self, count: int) -> "Pictures":
        """So many of them, in their order, always the same ones; all where there are no more."""
        if count >= len(self):
            return self
        rows = np.sort(np.random.default_rng(0).permutation(len(self))[:count])
        return replace(
            self,
            pixels=self.pixels[rows],
            aspects=self.aspects[rows],
            labels=self.labels[rows],
            members=tuple(self.members[row] for row in rows),
        )


def torchvision_source(name: TorchvisionName, root: Path, held_out: float = 0.2) -> Source:
    """One of torchvision's data sets as a source, downloaded under ``root`` where it is not there yet.

    ImageNet cannot be downloaded without an account: torchvision says which archives to put under ``root``.
    """
    from torchvision import datasets

    if name == "imagenette":
        tree = root / "imagenette2-160"
        datasets.Imagenette(str(root), "train", "160px", download=not tree.exists())
        return Source(tree, called=name)
    if name == "caltech101":
        datasets.Caltech101(root, download=True)
        return Source(root / "caltech101" / "101_ObjectCategories", held_out, called=name)
    for split in ("val", "train"):
        datasets.ImageNet(root, split)  # unpacks the archives
    return Source(root, folders=("train", "val"), called=name)  # other sets may lie beside them


def joint_classes(sources: Sequence[Source]) -> tuple[str, ...]:
    """All classes: source after source, sorted within each; a class that two sources share appears once."""
    classes: dict[str, None] = {}
    for source in sources:
        members = source.members()
        classes.update(dict.fromkeys(sorted({*members["train"].values(), *members["val"].values()})))
    return tuple(classes)


def training_pictures(source: Source, classes: Sequence[str], side: int, cache: Path) -> Pictures:
    """The training split, every picture stretched to a square of ``side`` pixels."""

    def stretch(picture: Image.Image) -> Image.Image:
        return picture.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3)

    return _decoded(source, "train", classes, stretch, side, f"stretch {side}", cache)


def held_out_pictures(source: Source, classes: Sequence[str], preprocess: Preprocess, cache: Path) -> Pictures:
    """The held-out split as the evaluation protocol sees it: resized and cropped, not yet normalized."""
    if preprocess.mode != "crop":
        raise ValueError(f"expected mode 'crop', in which all inputs have one size, got {preprocess.mode!r}")
    key = f"crop {preprocess.size} {preprocess.crop_pct}"
    return _decoded(source, "val", classes, preprocess.view, preprocess.size, key, cache)


def _decoded(
    source: Source,
    split: Split,
    classes: Sequence[str],
    transform: Callable[[Image.Image], Image.Image],
    side: int,
    transform_key: str,
    cache: Path,
) -> Pictures:
    """Read a split from the cache, after filling it where needed."""
    members = source.members()[split]
    key = [str(source.path.resolve()), transform_key, list(members), source.stamps(members)]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    stem = cache / f"{source.name}-{split}-{side}-{digest[:12]}"
    index = _named(stem, ".json")
    if not index.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _fill(source, list(members), transform, side, stem)
    entries = json.loads(index.read_text())
    kept: dict[str, float] = entries["aspects"]
    pixels = np.load(_named(stem, ".npy"), mmap_mode="r")[: len(kept)]
    number = {category: i for i, category in enumerate(classes)}
    return Pictures(
        source.name,
        pixels,
        np.array(list(kept.values()), np.float32),
        np.array([number[members[member]] for member in kept], np.int64),
        tuple(classes),
        tuple(kept),
        tuple(entries["broken"]),
    )


def _fill(
    source: Source, members: list[str], transform: Callable[[Image.Image], Image.Image], side: int, stem: Path
) -> None:
    part = _named(stem, f".{uuid.uuid4().hex}.part.npy")  # another process may be filling the same cache
    pixels = np.lib.format.open_memmap(part, "w+", np.uint8, (len(members), side, side, 3))
    aspects: dict[str, float] = {}
    broken = []
    for member, data in tqdm(source.read(members), f"decode {stem.name}", len(members), unit="img", mininterval=5):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                picture = Image.open(io.BytesIO(data)).convert("RGB")
        except Exception as error:  # every way in which a damaged file can fail to decode
            broken.append(member)
            log.warning("skipped %s of %s, which cannot be decoded: %s", member, source.name, error)
            continue
        pixels[len(aspects)] = np.asarray(transform(picture))
        aspects[member] = picture.width / picture.height
    pixels.flush()
    part.replace(_named(stem, ".npy"))
    # Last: the index says that the pixels are complete.
    write_in_one_step(_named(stem, ".json"), json.dumps({"aspects": aspects, "broken": broken}))


def _named(stem: Path, ending: str) -> Path:
    """The stem with an ending, dots in the stem kept."""
    return stem.with_name(stem.name + ending)


def _name_hash(member: str) -> str:
    return hashlib.sha256(PurePosixPath(member).name.encode()).hexdigest()
