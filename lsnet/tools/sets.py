"""The pictures of a run: several training sets joined into one, and the test sets that belong to them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lsnet.errors import InputError
from lsnet.preprocess import Preprocess
from lsnet.tools.data import Pictures, Source, held_out_pictures, joint_classes, torchvision_source, training_pictures
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import Recipe


@dataclass(frozen=True)
class Sets:
    """Training sets, read as one, and test sets.

    Attributes:
        classes: what the labels count, the same for all sets.
        training, tests: the sets.
    """

    classes: tuple[str, ...]
    training: tuple[Pictures, ...]
    tests: tuple[Pictures, ...]

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) of the joined training sets."""
        return np.concatenate([part.labels for part in self.training])

    @cached_property
    def aspects(self) -> npt.NDArray[np.float32]:
        """(N,) width over height."""
        return np.concatenate([part.aspects for part in self.training])

    def pixels(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Training pictures (B, S, S, 3) uint8."""
        starts = np.cumsum([0, *(len(part) for part in self.training)])
        parts = np.searchsorted(starts, rows, side="right") - 1
        pictures = [self.training[part].pixels[row - starts[part]] for part, row in zip(parts, rows, strict=True)]
        return torch.from_numpy(np.stack(pictures))


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """``--data``, ``--dataset`` and where to keep downloads and decoded pictures."""
    group = parser.add_argument_group("pictures", "several sets are joined")
    group.add_argument("--data", type=Path, nargs="+", default=[], help="ImageFolder trees, or tars of them")
    group.add_argument("--dataset", nargs="+", default=[], choices=("imagenette", "caltech101", "imagenet"))
    group.add_argument("--root", type=Path, default=Path("data"), help="where --dataset is, or is downloaded to")
    group.add_argument(
        "--held-out", type=float, default=0.2, help="share for testing of sets without splits; 1 for all"
    )
    group.add_argument("--cache", type=Path, default=Path("data/cache"), help="folder for decoded pictures")


def sources_of(args: argparse.Namespace) -> list[Source]:
    """The sources that the options of :func:`add_set_arguments` name.

    Raises:
        InputError: one does not exist, or two are called the same, so that their results could not be told apart.
    """
    sources = [Source(path, args.held_out) for path in args.data]
    sources += [torchvision_source(name, args.root, args.held_out) for name in args.dataset]
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise InputError("data.same_name", f"expected sets of different names, got {', '.join(names)}: rename one")
    return sources


def load_sets(args: argparse.Namespace, recipe: Recipe, processes: Processes) -> Sets:
    """Decode, or find decoded, what the options name; one process decodes and the others wait for it."""
    with processes.leader_first():
        return decode(sources_of(args), recipe, args.cache)


def decode(sources: Sequence[Source], recipe: Recipe, cache: Path) -> Sets:
    """Training pictures at the recipe's side and test pictures by the evaluation protocol at its ``eval_size``."""
    if not sources:
        raise InputError("data.none", "expected --data or --dataset, got neither")
    classes, preprocess = joint_classes(sources), Preprocess(size=recipe.eval_size)
    training = [training_pictures(source, classes, recipe.cache_side, cache) for source in sources]
    tests = [held_out_pictures(source, classes, preprocess, cache) for source in sources]
    return Sets(classes, tuple(training), tuple(part for part in tests if len(part)))
