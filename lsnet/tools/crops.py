"""Random crops of a whole batch at once: two matrix products that crop, resize, flip and undo a stretch together."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lsnet.preprocess import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True)
class Augmentation:
    """How training pictures are varied.

    Attributes:
        scale: least and greatest share of the picture's area that a crop covers.
        ratio: least and greatest width over height of a crop, before it is resized to a square.
        flip: probability of mirroring left and right.
        jitter: brightness, contrast and saturation vary by a factor within 1 ± jitter.
    """

    scale: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"expected 0 < least <= greatest <= 1 for the crop's scale, got {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"expected 0 < least <= greatest for the crop's ratio, got {self.ratio}")
        if not 0 <= self.flip <= 1 or not 0 <= self.jitter < 1:
            raise ValueError(f"expected flip in [0, 1] and jitter in [0, 1), got {self.flip} and {self.jitter}")


@dataclass(frozen=True)
class Draw:
    """One draw of an augmentation for each picture of a batch, so that processes can share the draws of a batch.

    Attributes:
        boxes: (B, 4), left, top, right, bottom as shares of the picture; left > right mirrors.
        factors: (B, 3), for brightness, contrast and saturation.
    """

    boxes: Tensor
    factors: Tensor

    def __getitem__(self, rows: slice) -> "Draw":
        return Draw(self.boxes[rows], self.factors[rows])


def draw(augmentation: Augmentation, aspects: Tensor, generator: torch.Generator) -> Draw:
    """Draw crops, flips and colour factors for pictures of the given aspects (B,), width over height."""
    count = len(aspects)
    uniform = torch.rand(count, 9, generator=generator)
    low, high = augmentation.scale
    area = low + (high - low) * uniform[:, 0]
    flat, wide = (torch.tensor(value).log() for value in augmentation.ratio)
    ratio = torch.exp(flat + (wide - flat) * uniform[:, 1]) / aspects  # in the stretched picture
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    left, top = (1 - width) * uniform[:, 2], (1 - height) * uniform[:, 3]
    boxes = torch.stack([left, top, left + width, top + height], dim=1)
    mirrored = uniform[:, 4] < augmentation.flip
    boxes[mirrored] = boxes[mirrored][:, [2, 1, 0, 3]]
    return Draw(boxes, 1 + augmentation.jitter * (2 * uniform[:, 5:8] - 1))


def centre(aspects: Tensor, share: float = 1.0, mirrored: bool = False) -> Draw:
    """The centred square that covers ``share`` of each picture's shorter side, colours unchanged."""
    width, height = share * (1 / aspects).clamp(max=1), share * aspects.clamp(max=1)
    sides = [(1 - width) / 2, (1 + width) / 2]
    left, right = reversed(sides) if mirrored else sides
    boxes = torch.stack([left, (1 - height) / 2, right, (1 + height) / 2], dim=1)
    return Draw(boxes, torch.ones(len(aspects), 3))


def crop(pictures: Tensor, drawn: Draw, size: int) -> Tensor:
    """Cut the drawn boxes out of pictures (B, S, S, 3) uint8, resized to (B, 3, size, size) in 0…1, then recoloured.

    The resampling filter is the triangle, widened when shrinking (bilinear with antialiasing).
    """
    boxes = drawn.boxes.to(pictures.device)
    columns = _weights(boxes[:, 0], boxes[:, 2], pictures.shape[2], size)  # (B, size, S)
    rows = _weights(boxes[:, 1], boxes[:, 3], pictures.shape[1], size)
    count, height, width, _ = pictures.shape
    pixels = pictures.reshape(count, height, width * 3).float() / 255
    pixels = (rows @ pixels).view(count, size, width, 3).permute(0, 3, 1, 2)  # (B, 3, size, S)
    pixels = pixels @ columns.transpose(1, 2)[:, None]  # (B, 3, size, size)
    return _recolour(pixels, drawn.factors.to(pixels))


def normalize(pixels: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in 0…1 to the model's input: ImageNet's mean and standard deviation, as the authors do."""
    mean, std = (torch.tensor(values).to(pixels).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (pixels - mean) / std


def _weights(start: Tensor, stop: Tensor, source: int, target: int) -> Tensor:
    """Resampling weights (B, target, source) along one axis, from share ``start`` to ``stop``; each row sums to 1."""
    step = (stop - start) * source / target  # source pixels per target pixel; negative mirrors
    positions = torch.arange(target, device=start.device) + 0.5
    centres = start[:, None] * source + step[:, None] * positions  # (B, target)
    reach = step.abs().clamp(min=1)[:, None, None]
    distance = centres[..., None] - (torch.arange(source, device=start.device) + 0.5)  # (B, target, source)
    weights = (1 - distance.abs() / reach).clamp(min=0)
    return weights / weights.sum(dim=-1, keepdim=True)


def _recolour(pixels: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, then contrast about the mean grey, then saturation about each pixel's grey."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(dim=1)  # each (B, 1, 1, 1)
    luma = torch.tensor([0.299, 0.587, 0.114]).to(pixels).view(3, 1, 1)
    pixels = pixels * brightness
    mean = (pixels * luma).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    pixels = (pixels - mean) * contrast + mean
    grey = (pixels * luma).sum(dim=1, keepdim=True)
    return ((pixels - grey) * saturation + grey).clamp(0, 1)
