"""The 15 corruptions of ImageNet-C: how errors on them are summed up, and how pictures are corrupted on the fly.

ImageNet-C itself is a download of 50,000 pictures for each corruption and severity. Where it is not at hand, the same
kinds of corruption are applied here by the package ``imagecorruptions-imaug``, a kept copy of ``imagecorruptions``
(Michaelis et al., 2019): the functions of Hendrycks and Dietterich, made to work on any size. All 15 corruptions exist
with all five severities. The pictures are still not ImageNet-C's: motion blur and snow are drawn without ImageMagick,
the elastic transform is a gentler one that scales with the picture, frost has a sixth texture, and nothing is stored as
a JPEG in between.
"""

import hashlib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache, partial
from multiprocessing import get_context
from typing import cast

import numpy as np
import numpy.typing as npt

from lsnet.errors import InputError
from lsnet.tools.data import Pictures

Pixels = npt.NDArray[np.uint8]

PACKAGE = "imagecorruptions-imaug"
SEVERITIES = (1, 2, 3, 4, 5)

# AlexNet's top-1 error on ImageNet-C, the mean over the five severities.
# Source: Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
# ICLR 2019, table 1, with the digits of the authors' code.
ALEXNET_ERRORS: Mapping[str, float] = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
CORRUPTIONS = tuple(ALEXNET_ERRORS)


def mean_errors(errors: Mapping[tuple[str, int], float]) -> dict[str, float]:
    """The mean over the severities of each corruption of which all five are there.

    Args:
        errors: top-1 error, 0…1, by corruption and severity.
    """
    return {
        name: sum(errors[name, severity] for severity in SEVERITIES) / len(SEVERITIES)
        for name in CORRUPTIONS
        if all((name, severity) in errors for severity in SEVERITIES)
    }


def corruption_errors(errors: Mapping[tuple[str, int], float]) -> dict[str, float]:
    """CE of each corruption of which all severities are there: errors relative to AlexNet's, 1 where they are equal.

    Source: Hendrycks and Dietterich, 2019, section 4.1.
    """
    return {name: error / ALEXNET_ERRORS[name] for name, error in mean_errors(errors).items()}


def mean_corruption_error(errors: Mapping[tuple[str, int], float]) -> float | None:
    """mCE: the mean of all 15 corruption errors; None where one is missing."""
    relative = corruption_errors(errors)
    return sum(relative.values()) / len(relative) if len(relative) == len(CORRUPTIONS) else None


def corrupt(pixels: Pixels, seed: int, corruption: str, severity: int) -> Pixels:
    """Corrupt a picture (H, W, 3), at least 32 pixels a side; the same seed gives the same picture.

    Raises:
        InputError: the package that does it cannot be used.
    """
    package_version()
    apply = importlib.import_module("imagecorruptions").corrupt
    # Most corruptions draw from numpy's global generator; two have one of their own.
    options = {"seed": seed} if corruption in ("glass_blur", "impulse_noise") else {}
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        return cast(Pixels, apply(pixels, severity=severity, corruption_name=corruption, **options))
    finally:
        np.random.set_state(state)


@cache
def package_version() -> str:
    """The version of the package that corrupts.

    Raises:
        InputError: it is not installed, or a library of the system that OpenCV loads is not.
    """
    try:
        importlib.import_module("imagecorruptions")
        return importlib.metadata.version(PACKAGE)  # not that of its forerunner, which today's numpy cannot run
    except ModuleNotFoundError as error:
        raise InputError(
            "data.no_imagecorruptions",
            f"corrupting pictures on the fly needs the package {PACKAGE} (pip install {PACKAGE}), which cannot be used "
            f"here: {error}",
            package=PACKAGE,
        ) from error
    except ImportError as error:
        raise InputError(
            "data.no_opencv",
            f"corrupting pictures on the fly needs OpenCV, which cannot be loaded here: {error}; on Debian and Ubuntu, "
            "apt-get install libgl1",
        ) from error


class LazyPixels:
    """Pictures (N, S, S, 3) uint8 that are made when rows of them are asked for.

    Args:
        make: row numbers to the pictures of those rows.
    """

    def __init__(self, make: Callable[[npt.NDArray[np.int64]], Iterable[Pixels]]) -> None:
        self.make = make

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> Pixels:
        return np.stack(list(self.make(rows)))


def corrupted(pictures: Pictures, corruption: str, severity: int, pool: Executor | None = None) -> Pictures:
    """The same pictures, corrupted when they are read. What befalls a picture depends on its path in the set alone.

    Args:
        pictures: as the network sees them, cropped and not normalized.
        corruption: a key of :data:`ALEXNET_ERRORS`.
        severity: 1 to 5.
        pool: where to corrupt; here, one after the other, by default. Processes, not threads: the package draws from
            numpy's one global generator.
    """

    def make(rows: npt.NDArray[np.int64]) -> Iterable[Pixels]:
        spread = map if pool is None else pool.map
        seeds = [_seed(pictures.members[row], corruption, severity) for row in rows]
        apply = partial(corrupt, corruption=corruption, severity=severity)
        return spread(apply, [np.array(pictures.pixels[row]) for row in rows], seeds)

    return with_pixels(pictures, LazyPixels(make))


def with_pixels(pictures: Pictures, pixels: LazyPixels) -> Pictures:
    """Pictures whose pixels are not all there at once; rows are all that may be asked of them."""
    return replace(pictures, pixels=cast(Pixels, pixels))


def process_pool(workers: int) -> AbstractContextManager[Executor | None]:
    """Processes that corrupt, while the context lasts; none for no workers."""
    return ProcessPoolExecutor(workers, get_context("spawn")) if workers else nullcontext()


def _seed(member: str, corruption: str, severity: int) -> int:
    digest = hashlib.sha256(f"{member} {corruption} {severity}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
