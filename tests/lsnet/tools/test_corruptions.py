"""Corruptions: sums over them by hand, pictures that the seed alone decides, a clear word where the package lacks."""

import pickle
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest

from lsnet.errors import InputError
from lsnet.preprocess import Preprocess
from lsnet.tools import corruptions
from lsnet.tools.corruptions import (
    ALEXNET_ERRORS,
    CORRUPTIONS,
    SEVERITIES,
    corrupt,
    corrupted,
    corruption_errors,
    mean_corruption_error,
    mean_errors,
)
from lsnet.tools.data import Pictures, Source, held_out_pictures
from tests.lsnet.tools.conftest import TINTS, picture
from tests.marks import needs_corruptions

# Hendrycks and Dietterich, 2019, table 1: AlexNet's row, per cent.
PAPER = (88.6, 89.4, 92.3, 82.0, 82.6, 78.6, 79.8, 86.7, 82.7, 81.9, 56.5, 85.3, 64.6, 71.8, 60.7)


def test_alexnet_as_published() -> None:
    assert [100 * value for value in ALEXNET_ERRORS.values()] == pytest.approx(PAPER, abs=0.051)


def everywhere(value: float) -> dict[tuple[str, int], float]:
    return {(name, severity): value for name in CORRUPTIONS for severity in SEVERITIES}


def test_mce_by_hand() -> None:
    alexnet = {(name, severity): ALEXNET_ERRORS[name] for name in CORRUPTIONS for severity in SEVERITIES}
    assert mean_corruption_error(alexnet) == pytest.approx(1)
    halved = {key: value / 2 for key, value in alexnet.items()}
    # On fog as bad as 0.1, 0.2, … 0.5, in the mean 0.3; elsewhere half as bad as AlexNet.
    halved |= {("fog", severity): severity / 10 for severity in SEVERITIES}
    assert corruption_errors(halved)["fog"] == pytest.approx(0.3 / 0.819324)
    assert mean_corruption_error(halved) == pytest.approx((14 * 0.5 + 0.3 / 0.819324) / 15)


def test_mce_weighs_corruptions_by_what_alexnet_makes_of_them() -> None:
    # 1 / AlexNet's error, in the mean: worked out from the paper's row.
    expected = sum(100 / value for value in PAPER) / 15
    assert mean_corruption_error(everywhere(1.0)) == pytest.approx(expected, rel=1e-3)


def test_no_mce_of_a_part() -> None:
    errors = everywhere(0.5)
    del errors["snow", 3]
    assert mean_corruption_error(errors) is None
    assert "snow" not in corruption_errors(errors)
    assert "snow" not in mean_errors(errors)
    assert len(mean_errors(errors)) == 14


@needs_corruptions
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_seed_alone_decides(name: str) -> None:
    pixels = np.asarray(picture(TINTS["red"], 0, (64, 64)))
    np.random.seed(1)
    first = corrupt(pixels, 7, name, 3)
    following = np.random.random()
    np.random.seed(1)
    assert np.random.random() == following  # nobody else's numbers were used up
    np.testing.assert_array_equal(corrupt(pixels, 7, name, 3), first)
    assert (first.shape, first.dtype) == (pixels.shape, pixels.dtype)
    assert (first != pixels).any()


@needs_corruptions
def test_contrast_and_impulses_by_hand() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    mean = pixels.mean((0, 1))
    np.testing.assert_allclose(corrupt(pixels, 0, "contrast", 5), (pixels - mean) * 0.05 + mean, atol=1)
    changed = (corrupt(pixels, 0, "impulse_noise", 5) != pixels).mean()
    assert changed == pytest.approx(0.27, abs=0.02)


@needs_corruptions
def test_a_picture_is_corrupted_alike_in_any_batch(tree: Path, tmp_path: Path) -> None:
    pictures = held_out_pictures(Source(tree), ("blue", "red"), Preprocess(size=40), tmp_path)
    changed = corrupted(pictures, "gaussian_noise", 2)
    assert len(changed) == len(pictures)
    one_by_one = np.concatenate([rows(changed, [row]) for row in (2, 0, 1)])
    np.testing.assert_array_equal(rows(changed, [2, 0, 1]), one_by_one)
    # Noise of two pictures, and of two severities, has nothing in common.
    noise = rows(changed, [0, 1]).astype(int) - rows(pictures, [0, 1])
    more = rows(corrupted(pictures, "gaussian_noise", 3), [0]).astype(int) - rows(pictures, [0])
    for other in (noise[1], more[0]):
        assert abs(np.corrcoef(noise[0].ravel(), other.ravel())[0, 1]) < 0.1


class OtherProcess(Executor):
    """What goes to it and comes back is pickled, as for another process."""

    def map(self, function: Callable, *arguments: Iterable, **options: object) -> Iterator:
        function = pickle.loads(pickle.dumps(function))
        return (
            pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(row)))))
            for row in zip(*arguments, strict=True)
        )


@needs_corruptions
def test_other_processes_corrupt_alike(tree: Path, tmp_path: Path) -> None:
    pictures = held_out_pictures(Source(tree), ("blue", "red"), Preprocess(size=40), tmp_path)
    here, there = (corrupted(pictures, "fog", 2, pool) for pool in (None, OtherProcess()))
    np.testing.assert_array_equal(rows(here, [1, 2]), rows(there, [1, 2]))


def rows(pictures: Pictures, which: list[int]) -> np.ndarray:
    return np.asarray(pictures.pixels[np.array(which)])


def test_a_package_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    corruptions.package_version.cache_clear()
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)  # as if it were not installed
    with pytest.raises(InputError, match=r"imagecorruptions-imaug \(pip install imagecorruptions-imaug\)"):
        corrupt(np.zeros((32, 32, 3), np.uint8), 0, "fog", 1)


def test_its_forerunner_does_not_stand_in_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    corruptions.package_version.cache_clear()
    monkeypatch.setitem(sys.modules, "imagecorruptions", types.ModuleType("imagecorruptions"))
    monkeypatch.setattr(corruptions, "PACKAGE", "not-installed-at-all")
    with pytest.raises(InputError, match="not-installed-at-all"):
        corruptions.package_version()
