"""From a picture to the model's input: how it is resized and cropped, and the pixels that come out."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lsnet.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

MIN_SIDE = 32
MAX_SIDE = 1024

FrameMode = Literal["crop", "whole"]


@dataclass(frozen=True)
class Frame:
    """Where the model looks: the picture is resized, then a box of the resized picture is cut out.

    Attributes:
        picture: (width, height) of the original picture, in pixels.
        resized: (width, height) after resizing.
        left, top: the box's corner in the resized picture.
        size: (width, height) of the box: the model's input.
    """

    picture: tuple[int, int]
    resized: tuple[int, int]
    left: int
    top: int
    size: tuple[int, int]

    @property
    def side(self) -> int:
        """A :attr:`Preprocess.size` that frames such a picture so: where the longer side was limited, any large one."""
        whole = self.size == self.resized
        return MAX_SIDE if whole and max(self.size) == MAX_SIDE else min(self.size)


@dataclass(frozen=True)
class Preprocess:
    """The evaluation transform: bicubic resize, centre crop, normalization.

    Attributes:
        size: the side of the model's input in pixels, 32 to 1024. For ``"whole"`` it is the shorter side.
        mode: ``"crop"`` is the authors' protocol: the shorter side is resized to ``size / crop_pct`` and a centred
            square is cut out. ``"whole"`` keeps the entire picture and its aspect ratio.
        crop_pct: the share of the resized shorter side that the square keeps (0.875: 256 → 224).
        mean, std: per channel, for inputs scaled to 0…1.

    Source: the authors' evaluation code (resize 256, centre crop 224, bicubic, ImageNet mean and std).
    """

    size: int = 224
    mode: FrameMode = "crop"
    crop_pct: float = 0.875
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not MIN_SIDE <= self.size <= MAX_SIDE:
            raise InputError(
                "input.size",
                f"expected an input side of {MIN_SIDE} to {MAX_SIDE} pixels, got {self.size}",
                low=MIN_SIDE,
                high=MAX_SIDE,
            )
        if self.mode not in ("crop", "whole"):
            raise ValueError(f"expected mode 'crop' or 'whole', got {self.mode!r}")
        if not 0 < self.crop_pct <= 1:
            raise ValueError(f"expected crop_pct in (0, 1], got {self.crop_pct}")

    def frame(self, width: int, height: int) -> Frame:
        """Plan the resize and crop of a picture of ``width`` × ``height`` pixels.

        In ``"whole"`` mode the longer side is limited to 1024 pixels; a picture so elongated that its shorter side
        would fall below 32 pixels has that side stretched to 32, which :attr:`Frame.resized` states.
        """
        short = math.floor(self.size / self.crop_pct) if self.mode == "crop" else self.size
        scale = short / min(width, height)
        if self.mode == "whole":
            scale = min(scale, MAX_SIDE / max(width, height))
        # int(), not round(): the longer side truncates, as in torchvision's Resize.
        resized = (max(int(width * scale + 1e-9), MIN_SIDE), max(int(height * scale + 1e-9), MIN_SIDE))
        if self.mode == "whole":
            return Frame((width, height), resized, 0, 0, resized)
        left, top = (round((side - self.size) / 2) for side in resized)
        return Frame((width, height), resized, left, top, (self.size, self.size))

    def view(self, picture: Image.Image) -> Image.Image:
        """The part of an RGB picture that the model sees, at the model's resolution."""
        frame = self.frame(*picture.size)
        width, height = frame.size
        box = (frame.left, frame.top, frame.left + width, frame.top + height)
        return picture.resize(frame.resized, Image.Resampling.BICUBIC).crop(box)

    def __call__(self, picture: Image.Image) -> Tensor:
        """Turn an RGB picture into a normalized input, (3, H, W) float32."""
        if picture.mode != "RGB":
            raise ValueError(f"expected an RGB picture, got mode {picture.mode!r}; viz.images.load_picture converts")
        pixels = torch.from_numpy(np.array(self.view(picture))).permute(2, 0, 1).float() / 255  # (3, H, W)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std
