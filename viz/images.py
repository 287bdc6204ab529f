"""The only door for pictures: what may come in, and where each of its pixels ends up in the model."""

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import ExifTags, Image, ImageCms

from lsnet.errors import InputError
from lsnet.preprocess import Frame

MAX_BYTES = 30_000_000  # of a file
MAX_PIXELS = 50_000_000
MAX_ASPECT = 64  # longer side / shorter side
MIN_SIDE = 8  # the shorter side, in pixels

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
FORMAT_NAMES = "JPEG, PNG, WebP, GIF, TIFF, BMP"

# How files of these formats start (a WebP's own mark follows its RIFF header).
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"WEBP", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_picture(source: str | os.PathLike[str] | bytes | np.ndarray[Any, Any] | Image.Image) -> Image.Image:
    """Turn whatever a visitor brings into an upright 8-bit RGB picture. The source is never modified.

    Transparency is laid on white, EXIF orientation is applied, and colours with a valid embedded ICC profile are
    converted to sRGB (a broken profile is ignored). Of an animation, the first frame is taken. Greyscale of more
    than 8 bits has a stated range where one fits: 16-bit and 32-bit integers 0…65535, 32-bit floats 0…1 or else
    0…255. Values outside it are stretched from the picture's own minimum to its own maximum.

    Args:
        source: a path, the bytes of a file, a PIL image of any mode, or an array of shape (H, W), (H, W, 1),
            (H, W, 3) RGB or (H, W, 4) RGBA: uint8, uint16 (0…65535), bool, or float in 0…1.

    Raises:
        InputError: the source is no picture, is damaged, or is beyond a limit of this module. ``code`` is one of
            ``image.not_found``, ``not_a_file``, ``empty``, ``too_many_bytes``, ``unknown_format``, ``unreadable``,
            ``truncated``, ``too_many_pixels``, ``too_elongated``, ``too_small``, ``bad_array``, ``out_of_range``,
            ``not_finite``.
        TypeError: the source is of none of these types.
    """
    if isinstance(source, np.ndarray):
        return _to_rgb(_from_array(source))
    if isinstance(source, Image.Image):
        _check_size(*source.size)
        with _damage_told():
            return _to_rgb(source.copy())
    if not isinstance(source, str | os.PathLike | bytes):
        raise TypeError(f"expected a path, bytes, an array or a PIL image, got {type(source).__name__}")
    data = source if isinstance(source, bytes) else _read(source)
    if not data:
        raise InputError("image.empty", "The file is empty; choose one that holds a picture.")
    _check_bytes(len(data))
    if not (data[8:] if data.startswith(b"RIFF") else data).startswith(_SIGNATURES):
        message = f"This is not a picture in a known format; use one of {FORMAT_NAMES}."
        raise InputError("image.unknown_format", message, formats=FORMAT_NAMES)
    with _damage_told(), _open(data) as opened:
        _check_size(*opened.size)  # from the header: nothing has been decoded yet
        return _to_rgb(opened)


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        place = Path(path)
        if not place.exists():
            raise InputError("image.not_found", "There is no file at this path; check it, or upload the picture.")
        if not place.is_file():
            raise InputError("image.not_a_file", "This path is not a file; give the path of a picture file.")
        _check_bytes(place.stat().st_size)
        return place.read_bytes()
    except OSError as error:
        raise InputError("image.unreadable", "The file cannot be read; try another copy of the picture.") from error


def _open(data: bytes) -> Image.Image:
    """Read the header. Pillow's warning about huge pictures is made an exception, so that it is never printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(BytesIO(data), formats=FORMATS)


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn what Pillow raises for a damaged file, which can be nearly any exception, into an InputError."""
    try:
        yield
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except Exception as error:
        if "truncated" in str(error).lower():
            message = "The picture's file ends too early; download or export it again."
            raise InputError("image.truncated", message) from error
        message = "The picture's file is damaged; open it in an image program and save it again."
        raise InputError("image.unreadable", message) from error


def _too_many_pixels() -> InputError:
    limit = MAX_PIXELS // 1_000_000
    message = f"The picture has more than {limit} megapixels; scale it down, for example to 2000 pixels a side."
    return InputError("image.too_many_pixels", message, limit=limit)


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        limit, megabytes = MAX_BYTES // 1_000_000, math.ceil(size / 100_000) / 10
        message = f"The file has {megabytes} MB; use one of at most {limit} MB."
        raise InputError("image.too_many_bytes", message, size=megabytes, limit=limit)


def _check_size(width: int, height: int) -> None:
    if not width or not height:
        raise InputError("image.empty", "The picture has no pixels; choose one that has some.")
    if width * height > MAX_PIXELS:
        raise _too_many_pixels()
    got = f"The picture is {width} by {height} pixels"
    if max(width, height) > MAX_ASPECT * min(width, height):
        message = f"{got}; the longer side may be at most {MAX_ASPECT} times the shorter one, so crop it."
        raise InputError("image.too_elongated", message, width=width, height=height, limit=MAX_ASPECT)
    if min(width, height) < MIN_SIDE:
        message = f"{got}; use one with at least {MIN_SIDE} pixels on each side."
        raise InputError("image.too_small", message, width=width, height=height, limit=MIN_SIDE)


def _not_finite() -> InputError:
    return InputError("image.not_finite", "The picture holds values that are not numbers (NaN or infinity); fill them.")


def _from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    """A copy of the array as a picture of mode L, RGB or RGBA."""
    pixels = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    shape_fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    kind, itemsize = array.dtype.kind, array.dtype.itemsize
    if not shape_fits or not (kind in "bf" or (kind == "u" and itemsize <= 2)):
        shape = str(array.shape)
        message = (
            "Expected an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), of uint8, uint16, bool or "
            f"float in 0…1, got shape {shape} of {array.dtype}."
        )
        raise InputError("image.bad_array", message, shape=shape, dtype=str(array.dtype))
    _check_size(pixels.shape[1], pixels.shape[0])
    if kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise _not_finite()
        if low < 0 or high > 1:
            message = f"Expected float values in 0…1, got {low:g} to {high:g}; scale them, or give uint8."
            raise InputError("image.out_of_range", message, low=low, high=high)
    full = 2 ** (8 * itemsize) - 1 if kind == "u" else 1
    return Image.fromarray(np.rint(pixels.astype(np.float32) * (255 / full)).astype(np.uint8))


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Decode a picture that no caller holds and make it upright RGB in sRGB, without metadata."""
    picture.load()  # first: Pillow turns TIFFs upright here, and finds EXIF blocks that follow a PNG's pixels
    profile, turn = picture.info.get("icc_profile"), _turn(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _narrow(picture)
    elif picture.has_transparency_data:
        picture = _on_white(picture)
    elif picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    if profile:
        picture = _to_srgb(picture, profile)
    picture = picture.convert("RGB")  # a copy at the least, which is free of the file and its cached EXIF
    picture.info.clear()  # an orientation or profile left behind would be applied a second time
    return picture if turn is None else picture.transpose(turn)


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """What the EXIF orientation asks for; nothing where there is none or where the EXIF block is damaged."""
    try:
        return _UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow's EXIF parser raises many types; a damaged block must not cost the visitor the picture
        return None


def _narrow(picture: Image.Image) -> Image.Image:
    """Bring 16- and 32-bit greyscale to mode L; load_picture tells the rule. A PNG's transparent grey turns white."""
    values = np.asarray(picture)  # (H, W)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _not_finite()
    fitting = [full for full in ((1, 255) if picture.mode == "F" else (65535,)) if low >= 0 and high <= full]
    if fitting:
        low, high = 0, fitting[0]
    scaled = np.subtract(values, low, dtype=np.float64)
    scaled *= 255 / ((high - low) or 1)
    grey = np.rint(scaled, out=scaled).astype(np.uint8)
    if "transparency" in picture.info:
        grey[values == picture.info["transparency"]] = 255
    return Image.fromarray(grey)


def _on_white(picture: Image.Image) -> Image.Image:
    """Lay a picture with any form of transparency on white. Greyscale stays L, everything else becomes RGB."""
    if picture.mode == "La":
        picture = picture.convert("LA")
    mode = "L" if picture.mode in ("L", "LA") else "RGB"
    rgba = picture.convert("RGBA")
    white = Image.new(mode, picture.size, "white")
    white.paste(rgba.convert(mode), mask=rgba.getchannel("A"))
    return white


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Convert L, RGB or CMYK pixels from an embedded profile to sRGB; unchanged where the profile does not work."""
    try:
        embedded = ImageCms.getOpenProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(embedded, ImageCms.createProfile("sRGB"), picture.mode, "RGB")
        return ImageCms.applyTransform(picture, transform) or picture
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return picture


class TokenGrid(Protocol):
    """What the geometry needs of a traced block."""

    @property
    def stride(self) -> int:
        """Model pixels from one token to the next."""

    @property
    def grid(self) -> tuple[int, int]:
        """Tokens (down, across): the model input's (height, width) / stride, rounded up."""


class Box(NamedTuple):
    """A rectangle in picture pixels. Edges, not pixel centres: the whole picture is (0, 0, width, height)."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Geometry:
    """The map between a picture's pixels, the model's pixels and a block's tokens.

    Coordinates are continuous, from the top left corner; pixel (x, y) stands for its centre (x + 0.5, y + 0.5).
    Token (row, col) of a block of stride s owns the model's columns s·col to s·(col+1) and rows s·row to s·(row+1),
    the first edge included and the second not; the input's edge may cut the last row and column of cells.

    The cell says which token speaks for a pixel, not what the token sees: with 3x3 convolutions of stride 2 padded
    by 1, a token's receptive field is larger than its cell and is centred on the cell's first (top left) pixel.

    Attributes:
        frame: how the picture was resized and cropped.
    """

    frame: Frame

    @property
    def crop_box(self) -> Box:
        """The part of the picture that the model sees."""
        return self._model_box(0, 0, *self.frame.size)

    def picture_to_model(self, x: float, y: float) -> tuple[float, float]:
        """From picture to model input, both continuous. Also defined outside of what the model sees."""
        (width, height), (resized_w, resized_h) = self.frame.picture, self.frame.resized
        return x * resized_w / width - self.frame.left, y * resized_h / height - self.frame.top

    def model_to_picture(self, x: float, y: float) -> tuple[float, float]:
        """The inverse of :meth:`picture_to_model`."""
        (width, height), (resized_w, resized_h) = self.frame.picture, self.frame.resized
        return (x + self.frame.left) * width / resized_w, (y + self.frame.top) * height / resized_h

    def pixel_to_token(self, x: int, y: int, block: TokenGrid) -> tuple[int, int] | None:
        """The (row, col) of the token that owns the centre of pixel (x, y); None where the pixel was cropped away.

        Raises:
            ValueError: the pixel lies outside the picture.
        """
        width, height = self.frame.picture
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"expected a pixel with x in 0…{width - 1} and y in 0…{height - 1}, got ({x}, {y})")
        col = self._cell(x, axis=0, stride=block.stride)
        row = self._cell(y, axis=1, stride=block.stride)
        return None if row is None or col is None else (row, col)

    def token_to_box(self, row: int, col: int, block: TokenGrid) -> Box:
        """The token's cell, cut at the edge of the model's input.

        Raises:
            ValueError: the block has no such token.
        """
        _check_token(row, col, block)
        (width, height), stride = self.frame.size, block.stride
        right, bottom = min(stride * (col + 1), width), min(stride * (row + 1), height)
        return self._model_box(stride * col, stride * row, right, bottom)

    def window_to_box(self, row: int, col: int, block: TokenGrid, size: int) -> Box:
        """The cells of the ``size`` by ``size`` tokens around a token: 7 for perception, 3 for aggregation.

        Never cut: where the box leaves what the model sees, the window reads zero padding.

        Raises:
            ValueError: the block has no such token, or ``size`` is even or below 1.
        """
        _check_token(row, col, block)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"expected an odd window size of at least 1, got {size}")
        stride, reach = block.stride, size // 2
        left, top = stride * (col - reach), stride * (row - reach)
        return self._model_box(left, top, left + stride * size, top + stride * size)

    def _cell(self, pixel: int, axis: int, stride: int) -> int | None:
        """Along one axis (0 is x), the cell that holds a pixel's centre. In integers, so exact on every edge."""
        picture, resized = self.frame.picture[axis], self.frame.resized[axis]
        start = (self.frame.left, self.frame.top)[axis]
        centre = (2 * pixel + 1) * resized - 2 * picture * start  # in 1 / (2 · picture) of a model pixel
        if not 0 <= centre < 2 * picture * self.frame.size[axis]:
            return None
        return centre // (2 * picture * stride)

    def _model_box(self, left: float, top: float, right: float, bottom: float) -> Box:
        return Box(*self.model_to_picture(left, top), *self.model_to_picture(right, bottom))


def _check_token(row: int, col: int, block: TokenGrid) -> None:
    rows, cols = block.grid
    if not (0 <= row < rows and 0 <= col < cols):
        raise ValueError(f"expected a token with row in 0…{rows - 1} and col in 0…{cols - 1}, got ({row}, {col})")
