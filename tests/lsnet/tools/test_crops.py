"""Crops: against slicing and torch's antialiased resize, and what the draws promise."""

import pytest
import torch
import torch.nn.functional as F

from lsnet.tools.crops import Augmentation, Draw, centre, crop, draw, normalize


def pictures(count: int = 2, side: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def boxes(*rows: tuple[float, float, float, float]) -> Draw:
    return Draw(torch.tensor(rows), torch.ones(len(rows), 3))


def test_the_whole_picture_at_its_own_size_is_itself() -> None:
    source = pictures()
    same = crop(source, boxes((0, 0, 1, 1), (0, 0, 1, 1)), 16)
    torch.testing.assert_close(same, source.permute(0, 3, 1, 2).float() / 255)


def test_a_box_is_cut_and_mirrored() -> None:
    source = pictures()
    cut = crop(source, boxes((0.25, 0.5, 0.75, 1.0), (0.75, 0.5, 0.25, 1.0)), 8)
    expected = source.permute(0, 3, 1, 2).float()[:, :, 8:16, 4:12] / 255
    torch.testing.assert_close(cut[0], expected[0])
    torch.testing.assert_close(cut[1], expected[1].flip(-1))


@pytest.mark.parametrize("size", [7, 8, 24])
def test_resizing_is_bilinear_with_antialiasing(size: int) -> None:
    source = pictures()
    resized = crop(source, boxes((0, 0, 1, 1), (0, 0, 1, 1)), size)
    expected = F.interpolate(
        source.permute(0, 3, 1, 2).float() / 255, (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    torch.testing.assert_close(resized, expected, atol=1e-4, rtol=0)


def test_colour_factors_do_what_they_say() -> None:
    source = pictures(3)
    plain = source.permute(0, 3, 1, 2).float() / 255
    factors = torch.tensor([[0.5, 1, 1], [1, 0, 1], [1, 1, 0]])
    darker, flat, grey = crop(source, Draw(torch.tensor([[0.0, 0, 1, 1]]).repeat(3, 1), factors), 16)
    torch.testing.assert_close(darker, plain[0] * 0.5)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    torch.testing.assert_close(flat, (plain[1] * luma).sum(0).mean().expand(3, 16, 16))
    torch.testing.assert_close(grey, (plain[2] * luma).sum(0).expand(3, 16, 16))


def test_draws_keep_to_their_limits() -> None:
    aspects = torch.tensor([1.0, 1.5]).repeat(500)
    drawn = draw(
        Augmentation(scale=(0.5, 0.8), ratio=(1.0, 1.0), jitter=0.3), aspects, torch.Generator().manual_seed(0)
    )
    width, height = (drawn.boxes[:, 2] - drawn.boxes[:, 0]).abs(), drawn.boxes[:, 3] - drawn.boxes[:, 1]
    assert (drawn.boxes >= -1e-6).all()
    assert (drawn.boxes <= 1 + 1e-6).all()
    square = (width * aspects / height)[height < 0.999]  # in the picture before it was stretched
    torch.testing.assert_close(square, torch.ones_like(square))
    area = (width * height)[height < 0.999]
    assert 0.5 - 1e-5 <= area.min() < 0.52
    assert area.max() <= 0.8 + 1e-5
    mirrored = drawn.boxes[:, 2] < drawn.boxes[:, 0]
    assert 0.4 < mirrored.float().mean() < 0.6
    assert drawn.factors.min() >= 0.7
    assert drawn.factors.max() <= 1.3


def test_the_centre_is_square_in_the_original_picture() -> None:
    drawn = centre(torch.tensor([2.0, 0.5]))
    torch.testing.assert_close(drawn.boxes, torch.tensor([[0.25, 0, 0.75, 1], [0, 0.25, 1, 0.75]]))
    torch.testing.assert_close(centre(torch.tensor([2.0]), mirrored=True).boxes, torch.tensor([[0.75, 0, 0.25, 1]]))


def test_normalize_uses_imagenet_statistics() -> None:
    red = normalize(torch.ones(1, 3, 1, 1))[0, 0].item()
    assert red == pytest.approx((1 - 0.485) / 0.229)


def test_impossible_augmentations_are_refused() -> None:
    with pytest.raises(ValueError, match="scale"):
        Augmentation(scale=(0.0, 1.0))
    with pytest.raises(ValueError, match="flip"):
        Augmentation(flip=2)
