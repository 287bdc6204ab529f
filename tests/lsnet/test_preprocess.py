"""The evaluation transform against torchvision's, size by size and pixel by pixel."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from lsnet.preprocess import IMAGENET_MEAN, IMAGENET_STD, MAX_SIDE, MIN_SIDE, Frame, Preprocess

SIDES = (1, 2, 7, 31, 32, 33, 99, 223, 224, 225, 255, 256, 257, 299, 341, 427, 480, 511, 512, 640, 1001, 1999, 2000)


def torchvision_view(short: int, size: int) -> transforms.Compose:
    return transforms.Compose(
        [transforms.Resize(short, InterpolationMode.BICUBIC), transforms.CenterCrop(size)],
    )


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width * 10_007 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("picture", "resized", "left", "top"),
    [
        # By hand: the short side becomes 256, the long one int(256 · long / short); half of what is over goes left.
        ((640, 480), (341, 256), 58, 16),  # 341.33; (341 - 224) / 2 = 58.5, and 58 is the even neighbour
        ((480, 640), (256, 341), 16, 58),
        ((500, 375), (341, 256), 58, 16),
        ((256, 256), (256, 256), 16, 16),
        ((33, 2000), (256, 15515), 16, 7646),  # 15515.15; (15515 - 224) / 2 = 7645.5, to the even 7646
    ],
)
def test_crop_frame_by_hand(picture, resized, left, top):
    assert Preprocess().frame(*picture) == Frame(picture, resized, left, top, (224, 224))


@pytest.mark.parametrize("short", [256, 255, 248])
def test_resized_size_is_torchvisions(short):
    resize = transforms.Resize(short, InterpolationMode.NEAREST)
    preprocess = Preprocess(size=224, crop_pct=224 / short - 1e-9)  # a hair less: 224 / crop_pct then floors to short
    # Every pair of sides up to an aspect of 20, so that no resized picture is larger than 256 by 5120 bits.
    for width, height in itertools.product(SIDES, SIDES):
        if max(width, height) <= 20 * min(width, height):
            frame = preprocess.frame(width, height)
            assert frame.resized == resize(Image.new("1", (width, height))).size, (width, height)


@pytest.mark.parametrize(
    "picture",
    [(640, 480), (427, 640), (224, 224), (225, 223), (301, 299), (257, 256), (256, 257), (33, 500), (999, 47)],
)
@pytest.mark.parametrize(("size", "crop_pct", "short"), [(224, 0.875, 256), (225, 0.9, 250), (97, 1.0, 97)])
def test_pixels_are_torchvisions(picture, size, crop_pct, short):
    source = noise(*picture)
    ours = Preprocess(size=size, crop_pct=crop_pct).view(source)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(torchvision_view(short, size)(source)))


def test_tensor_is_torchvisions():
    reference = transforms.Compose(
        [torchvision_view(256, 224), transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    )
    source = noise(321, 245)
    torch.testing.assert_close(Preprocess()(source), reference(source), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("picture", "resized"),
    [
        ((640, 480), (298, 224)),  # 298.67 truncates
        ((480, 641), (224, 299)),
        ((100, 50), (448, 224)),
        ((3000, 500), (1024, 170)),  # the longer side would be 1344: limited to 1024
        ((6400, 100), (1024, 32)),  # the shorter side would be 16: stretched to 32
    ],
)
def test_whole_frame_by_hand(picture, resized):
    assert Preprocess(mode="whole").frame(*picture) == Frame(picture, resized, 0, 0, resized)


@pytest.mark.parametrize("mode", ["crop", "whole"])
@pytest.mark.parametrize("size", [32, 224, 448])
@pytest.mark.parametrize("picture", [(640, 480), (3000, 1000), (1000, 3000), (33, 2000), (500, 500)])
def test_a_frame_knows_a_size_that_makes_it_again(picture, size, mode):
    frame = Preprocess(size=size, mode=mode).frame(*picture)
    assert Preprocess(size=frame.side, mode=mode).frame(*picture) == frame


def test_whole_frame_stays_within_the_model_and_near_the_aspect():
    for width, height in itertools.product(SIDES, SIDES):
        resized = Preprocess(mode="whole").frame(width, height).resized
        assert min(resized) >= MIN_SIDE
        assert max(resized) <= MAX_SIDE
        if min(resized) > MIN_SIDE:
            # Truncation takes less than one pixel from either side.
            assert abs(resized[0] * height - resized[1] * width) < max(width, height)


@pytest.mark.parametrize(
    ("setting", "value"), [("size", 31), ("size", 1025), ("mode", "fit"), ("crop_pct", 0), ("crop_pct", 1.1)]
)
def test_refused_settings(setting, value):
    with pytest.raises(ValueError, match=f"expected .*{value}"):
        Preprocess(**{setting: value})


def test_refuses_a_picture_that_is_not_rgb():
    with pytest.raises(ValueError, match="mode 'L'"):
        Preprocess()(Image.new("L", (40, 40)))
