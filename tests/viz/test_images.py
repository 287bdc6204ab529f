"""The door for pictures: what comes in, what is refused and how, and the pixel ↔ token map against exact fractions."""

import io
import json
import math
import random
import struct
import warnings
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from lsnet.errors import InputError
from lsnet.preprocess import Frame, Preprocess
from viz import images
from viz.images import Box, Geometry, load_picture

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"


def ramp(width: int = 24, height: int = 16) -> np.ndarray:
    """A smooth picture without symmetry, (height, width, 3) uint8: red grows to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 60)], axis=-1).astype(np.uint8)


def encode(picture: Image.Image, fmt: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, fmt, **options)
    return buffer.getvalue()


def pixel(picture: Image.Image, x: int = 0, y: int = 0) -> tuple:
    assert picture.mode == "RGB"
    return picture.getpixel((x, y))


def loaded(value, mode: str) -> tuple:
    """The RGB value of a plain in-memory picture of one colour, after the door."""
    return pixel(load_picture(Image.new(mode, (8, 8), value)))


def refusal(source) -> InputError:
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        with pytest.raises(InputError) as caught:
            load_picture(source)
    assert not leaked
    return caught.value


# --- what comes in ---

FILES = [
    pytest.param("PNG", {}, 0, id="png"),
    pytest.param("BMP", {}, 0, id="bmp"),
    pytest.param("TIFF", {}, 0, id="tiff"),
    pytest.param("TIFF", {"compression": "tiff_lzw"}, 0, id="tiff-lzw"),
    pytest.param("TIFF", {"compression": "jpeg", "quality": 98}, 10, id="tiff-jpeg"),
    pytest.param("WEBP", {"lossless": True}, 0, id="webp"),
    pytest.param("WEBP", {"quality": 98}, 12, id="webp-lossy"),
    pytest.param("JPEG", {"quality": 98, "subsampling": 0}, 10, id="jpeg"),
    pytest.param("JPEG", {"quality": 98, "subsampling": 0, "progressive": True}, 10, id="jpeg-progressive"),
    pytest.param("GIF", {}, 26, id="gif"),  # 256 colours
]


@pytest.mark.parametrize(("fmt", "options", "tolerance"), FILES)
@pytest.mark.parametrize("way", ["bytes", "path", "str", "wrong suffix", "lazy"])
def test_formats(fmt, options, tolerance, way, tmp_path):
    data = encode(Image.fromarray(ramp()), fmt, **options)
    place = tmp_path / ("picture.txt" if way == "wrong suffix" else f"picture.{fmt.lower()}")
    place.write_bytes(data)
    source = {"bytes": data, "str": str(place), "lazy": Image.open(place)}.get(way, place)
    picture = load_picture(source)
    assert (type(picture), picture.mode, picture.size, picture.info) == (Image.Image, "RGB", (24, 16), {})
    assert np.abs(np.asarray(picture).astype(int) - ramp()).max() <= tolerance


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(fmt):
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if fmt == "WEBP" else {}
    assert pixel(load_picture(encode(red, fmt, save_all=True, append_images=[blue], **options))) == (255, 0, 0)


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("1", 0, (0, 0, 0)),
        ("L", 77, (77, 77, 77)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBX", (1, 2, 3, 4), (1, 2, 3)),
        # On white with alpha 51/255 = 0.2: 0.2 · 200 + 0.8 · 255 = 244, and so on.
        ("RGBA", (200, 100, 0, 51), (244, 224, 204)),
        ("RGBA", (200, 100, 0, 0), (255, 255, 255)),
        ("RGBA", (200, 100, 0, 255), (200, 100, 0)),
        ("RGBa", (40, 20, 0, 51), (244, 224, 204)),  # the same colour, premultiplied
        ("LA", (100, 51), (224, 224, 224)),
        ("La", (20, 51), (224, 224, 224)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
        ("YCbCr", (128, 128, 128), (128, 128, 128)),
        ("HSV", (85, 255, 255), (0, 255, 0)),  # 85/255 of a turn: green
        # 16 bits: full range to full range, so 257 is one step of 8 bits.
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 90, (90, 90, 90)),
        ("I;16", 257 * 90 + 128, (90, 90, 90)),
        ("I;16", 257 * 90 + 129, (91, 91, 91)),
        ("I", 257 * 90, (90, 90, 90)),
        ("F", 0.2, (51, 51, 51)),
        ("F", 51.0, (51, 51, 51)),
    ],
)
def test_modes_by_hand(mode, value, expected):
    assert loaded(value, mode) == expected


@pytest.mark.parametrize("way", ["in memory", "tiff"])
@pytest.mark.parametrize(
    ("lab", "expected"),
    [
        ((100, 0, 0), (255, 255, 255)),
        ((54.3, 80.8, 69.9), (255, 0, 0)),  # sRGB's red in CIELAB at D50, the profile connection space's white
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_lab(lab, expected, way):
    source = Image.new("LAB", (8, 8), (round(lab[0] * 2.55), round(lab[1] + 128), round(lab[2] + 128)))
    picture = load_picture(encode(source, "TIFF") if way == "tiff" else source)
    assert np.abs(np.array(pixel(picture)) - expected).max() <= 6


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("F", [-1.0, 0.1, 1.0], [0, 140, 255]),  # below 0: stretched, 1.1 / 2 · 255 = 140.25
        ("F", [0.0, 250.0, 1000.0], [0, 64, 255]),  # 63.75
        ("F", [-3.0, -3.0, -3.0], [0, 0, 0]),
        ("I", [-100, 101, 300], [0, 128, 255]),
        ("I", [0, 65600, 131072], [0, 128, 255]),
    ],
)
def test_stretched_greyscale(mode, values, expected):
    rows = np.repeat(np.array(values, np.float32 if mode == "F" else np.int32), 8).reshape(3, 8)
    picture = load_picture(Image.fromarray(np.repeat(rows, 8, axis=0)))
    assert [pixel(picture, 0, 8 * i)[0] for i in range(3)] == expected


@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_files(fmt, order):
    levels = np.arange(256).reshape(16, 16)
    mode = "I;16B" if order == ">u2" and fmt == "TIFF" else "I;16"
    values = (levels * 257).astype(order if mode == "I;16B" else "<u2")
    source = Image.frombytes(mode, (16, 16), values.tobytes())
    assert np.array_equal(np.asarray(load_picture(encode(source, fmt)))[..., 0], levels)


def test_float_tiff():
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    picture = load_picture(encode(Image.fromarray(values), "TIFF"))
    assert np.array_equal(np.asarray(picture)[..., 1], np.arange(256).reshape(16, 16))


def paletted(mode: str = "P") -> Image.Image:
    """Left half red, right half black; in mode PA the right half is transparent."""
    picture = Image.new("P", (16, 8), 0)
    picture.putpalette([255, 0, 0, 0, 0, 0])
    picture.paste(1, (8, 0, 16, 8))
    if mode == "PA":
        picture = picture.convert("PA")
        picture.putalpha(Image.fromarray(np.repeat([[255] * 8 + [0] * 8], 8, axis=0).astype(np.uint8)))
    return picture


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(encode(paletted(), "PNG", transparency=1), id="png-one-index"),
        pytest.param(encode(paletted(), "PNG", transparency=b"\xff\x00"), id="png-alphas"),
        pytest.param(encode(paletted(), "GIF", transparency=1), id="gif"),
        pytest.param(encode(paletted().convert("RGB"), "PNG", transparency=(0, 0, 0)), id="png-rgb-key"),
        pytest.param(paletted("PA"), id="PA"),
    ],
)
def test_transparent_palettes_and_keys(source):
    picture = load_picture(source)
    assert (pixel(picture, 0), pixel(picture, 15)) == ((255, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_transparent_grey_key(mode):
    source = Image.new(mode, (16, 8), 60 if mode == "L" else 60 * 257)
    source.paste(0, (8, 0, 16, 8))
    picture = load_picture(encode(source, "PNG", transparency=0))
    assert (pixel(picture, 0), pixel(picture, 15)) == ((60, 60, 60), (255, 255, 255))


def test_opaque_palette():
    picture = load_picture(paletted())
    assert (pixel(picture, 0), pixel(picture, 15)) == ((255, 0, 0), (0, 0, 0))


def test_cmyk_jpeg():
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=98)
    assert np.abs(np.array(pixel(load_picture(data))) - (255, 0, 0)).max() <= 3


# --- orientation ---

# The EXIF standard: which visual side the stored row 0 and the stored column 0 are.
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "TIFF", "in memory"])
def test_orientation(orientation, fmt):
    row, column = ORIENTATIONS[orientation]
    stored = ramp().transpose(1, 0, 2) if row in ("left", "right") else ramp()
    stored = stored[::-1] if row in ("bottom", "right") else stored
    stored = stored[:, ::-1] if column in ("bottom", "right") else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = Image.fromarray(np.ascontiguousarray(stored))
    if fmt == "in memory":
        source.info["exif"] = exif.tobytes()
    else:
        options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}.get(fmt, {})
        source = encode(source, fmt, exif=exif, **options)
    picture = load_picture(source)
    assert picture.size == (24, 16)
    assert np.abs(np.asarray(picture).astype(int) - ramp()).max() <= (10 if fmt == "JPEG" else 0)
    assert picture.getexif().get(0x0112) is None


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_impossible_orientation_is_ignored(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert load_picture(encode(Image.fromarray(ramp()), "PNG", exif=exif)).size == (24, 16)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"\0" * 40])
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_does_not_cost_the_picture(exif, fmt):
    assert load_picture(encode(Image.fromarray(ramp()), fmt, exif=exif)).size == (24, 16)


# --- colour profiles ---

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with the entries of the red and the blue primary exchanged: conversion must exchange the channels."""
    assert SRGB.count(b"rXYZ") == SRGB.count(b"bXYZ") == 1
    return SRGB.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_profile_is_converted_to_srgb(fmt):
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}.get(fmt, {})
    picture = load_picture(encode(Image.fromarray(ramp()), fmt, icc_profile=swapped_profile(), **options))
    expected = ramp()[..., ::-1].astype(int)
    assert np.abs(np.asarray(picture) - expected).max() <= (12 if fmt == "JPEG" else 2)
    assert "icc_profile" not in picture.info


def test_profile_and_transparency():
    data = encode(Image.new("RGBA", (8, 8), (200, 100, 0, 51)), "PNG", icc_profile=swapped_profile())
    assert np.abs(np.array(pixel(load_picture(data))) - (204, 224, 244)).max() <= 2


def linear_grey_profile() -> bytes:
    """The least that an ICC profile of linear greyscale needs: a header, the white point and a curve of gamma 1."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)  # D50 in s15Fixed16
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, 256, 0)  # one u8Fixed8 number: 1.0
    start = 128 + 4 + 2 * 12
    table = struct.pack(">I4sII4sII", 2, b"wtpt", start, len(white), b"kTRC", start + len(white), len(curve))
    size = start + len(white) + len(curve)
    header = struct.pack(">I4sI4s4s4s12x4s28x", size, b"none", 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    return header + white[8:] + bytes(48) + table + white + curve


@pytest.mark.parametrize(
    ("mode", "value", "options"), [("L", 55, {}), ("L", 55, {"transparency": 0}), ("LA", (55, 255), {})]
)
def test_grey_profile(mode, value, options):
    # Linear 55 / 255 = 0.2157 is 1.055 · 0.2157 ** (1 / 2.4) - 0.055 = 0.502 in sRGB: 128.
    data = encode(Image.new(mode, (8, 8), value), "PNG", icc_profile=linear_grey_profile(), **options)
    assert np.abs(np.array(pixel(load_picture(data))) - 128).max() <= 1


@pytest.mark.parametrize(
    "profile",
    [SRGB, b"no profile", SRGB[:200], SRGB[:128] + b"\xff" * 100],
    ids=["sRGB", "text", "cut", "garbled"],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_srgb_or_broken_profile_changes_nothing(profile, mode):
    source = Image.fromarray(ramp()).convert(mode)
    picture = load_picture(encode(source, "PNG", icc_profile=profile))
    assert np.array_equal(np.asarray(picture), np.asarray(source.convert("RGB")))


# --- arrays ---


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((8, 9), 7, np.uint8), (7, 7, 7)),
        (np.full((8, 9, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((8, 9, 3), (1, 2, 3), np.uint8), (1, 2, 3)),
        (np.full((8, 9, 4), (200, 100, 0, 51), np.uint8), (244, 224, 204)),
        (np.ones((8, 9), bool), (255, 255, 255)),
        (np.full((8, 9, 3), (0, 257 * 90, 65535), np.uint16), (0, 90, 255)),
        (np.full((8, 9), 257 * 90, ">u2"), (90, 90, 90)),
        (np.full((8, 9, 3), (0, 0.2, 1), np.float64), (0, 51, 255)),
        (np.full((8, 9, 4), (1, 0, 0, 0.2), np.float32), (255, 204, 204)),
        (np.full((8, 9), 1, np.float16), (255, 255, 255)),
    ],
)
def test_arrays_by_hand(array, expected):
    picture = load_picture(array)
    assert (picture.size, pixel(picture)) == ((9, 8), expected)


def test_strided_array():
    assert np.array_equal(np.asarray(load_picture(ramp()[::-1, ::2])), ramp()[::-1, ::2])


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros(64, np.uint8), "image.bad_array"),
        (np.zeros((3, 16, 16), np.uint8), "image.bad_array"),
        (np.zeros((16, 16, 2), np.uint8), "image.bad_array"),
        (np.zeros((1, 16, 16, 3), np.uint8), "image.bad_array"),
        (np.zeros((16, 16), np.int64), "image.bad_array"),
        (np.zeros((16, 16), np.uint32), "image.bad_array"),
        (np.zeros((16, 16), complex), "image.bad_array"),
        (np.full((16, 16), None), "image.bad_array"),
        (np.zeros((0, 16, 3), np.uint8), "image.empty"),
        (np.zeros((16, 0), np.float32), "image.empty"),
        (np.full((16, 16), 1.01), "image.out_of_range"),
        (np.full((16, 16), -0.1), "image.out_of_range"),
        (np.full((16, 16, 3), np.nan), "image.not_finite"),
        (np.full((16, 16, 3), -np.inf), "image.not_finite"),
        (np.zeros((7, 9), np.uint8), "image.too_small"),
        (np.zeros((8, 520), np.uint8), "image.too_elongated"),
        (np.broadcast_to(np.uint8(0), (7072, 7072)), "image.too_many_pixels"),
    ],
)
def test_refused_arrays(array, code):
    assert refusal(array).code == code


def test_refused_array_says_what_came():
    error = refusal(np.zeros((3, 16, 16), np.int64))
    assert "(H, W, 3)" in str(error)
    assert "(3, 16, 16) of int64" in str(error)
    assert error.details == {"shape": "(3, 16, 16)", "dtype": "int64"}
    assert refusal(np.array([[0.0, 255.0]] * 8 * 8).reshape(8, 16)).details == {"low": 0.0, "high": 255.0}


# --- the source stays as it was ---


def in_memory_pictures():
    rgb = Image.fromarray(ramp())
    for mode in ("1", "L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "P"):
        yield mode, rgb.convert(mode)
    yield "I;16", Image.fromarray((ramp()[..., 0] * 200).astype(np.uint16))
    keyed = paletted()
    keyed.info["transparency"] = 1
    yield "P with transparency", keyed
    yield "PA", paletted("PA")
    tagged = rgb.copy()
    exif = Image.Exif()
    exif[0x0112] = 6
    tagged.info |= {"exif": exif.tobytes(), "icc_profile": swapped_profile()}
    yield "tagged", tagged


@pytest.mark.parametrize("source", [pytest.param(picture, id=name) for name, picture in in_memory_pictures()])
def test_picture_is_not_modified(source):
    def state():
        palette = source.getpalette("RGBA") if source.mode in ("P", "PA") else None
        return source.mode, source.size, dict(source.info), palette, source.tobytes()

    before = state()
    load_picture(source).paste((9, 9, 9), (0, 0, 8, 8))
    assert state() == before


@pytest.mark.parametrize("array", [ramp(), ramp()[..., 0], np.dstack([ramp(), ramp()[..., 0]]), ramp() / 255.0])
def test_array_is_not_modified(array):
    before = array.copy()
    load_picture(array).paste((9, 9, 9), (0, 0, 8, 8))
    assert np.array_equal(array, before)


# --- what is refused ---


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)


def resized_header(fmt: str, width: int, height: int) -> bytes:
    """A small file whose header claims another size."""
    data = bytearray(encode(Image.new("RGB", (16, 16)), fmt))
    if fmt == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif fmt == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif fmt == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif fmt == "TIFF":
        for tag, side in ((256, width), (257, height)):
            at = data.index(struct.pack("<HHII", tag, 4, 1, 16))
            data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, side)
    return bytes(data)


@pytest.mark.parametrize("side", [100_000, 12_000, 9_500, 7_072])  # beyond Pillow's error, its warning, and ours alone
def test_huge_png_is_refused_from_its_header(side):
    # There is no pixel data at all: were anything decoded, the code would be "image.truncated".
    assert refusal(png(16, 16, chunk(b"IDAT", b""))).code == "image.truncated"
    error = refusal(png(side, side, chunk(b"IDAT", b"")))
    assert (error.code, error.details) == ("image.too_many_pixels", {"limit": 50})


@pytest.mark.parametrize("fmt", ["BMP", "GIF", "JPEG", "TIFF"])
@pytest.mark.parametrize("side", [7_100, 10_000, 60_000])
def test_huge_headers(fmt, side):
    assert refusal(resized_header(fmt, side, side)).code == "image.too_many_pixels"


def test_warnings_made_errors_do_not_escape():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refusal(png(10_000, 10_000, chunk(b"IDAT", b""))).code == "image.too_many_pixels"
        load_picture(encode(Image.fromarray(ramp()), "PNG"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "image.empty"),
        (b"\n", "image.unknown_format"),
        (b"just text, renamed to .jpg", "image.unknown_format"),
        (b"<!DOCTYPE html><html></html>", "image.unknown_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image.unknown_format"),
        (b"%PDF-1.7\n", "image.unknown_format"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "image.unknown_format"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "image.unknown_format"),
        (encode(Image.new("RGB", (9, 9)), "PPM"), "image.unknown_format"),
        (encode(Image.new("RGB", (9, 9)), "ICO"), "image.unknown_format"),
        (encode(Image.new("RGB", (9, 9)), "JPEG2000"), "image.unknown_format"),
        (b"\xff\xd8\xff", "image.unreadable"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "image.unreadable"),
        (b"GIF89a", "image.unreadable"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image.unreadable"),
        (b"II*\0" + b"\xff" * 64, "image.unreadable"),
        (png(16, 16), "image.unreadable"),
        (png(0, 16), "image.unreadable"),
    ],
)
@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF")
def test_refused_files(data, code):
    with pytest.raises(InputError) as caught:
        load_picture(data)
    assert caught.value.code == code


def test_unknown_format_names_the_formats():
    error = refusal(b"hello")
    assert error.details == {"formats": "JPEG, PNG, WebP, GIF, TIFF, BMP"}
    assert error.details["formats"] in str(error)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_unpacks_to_megabytes(kind):
    bomb = zlib.compress(b"a" * 20 * PngImagePlugin.MAX_TEXT_CHUNK, 9)
    body = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[kind] + bomb
    pixels = zlib.compress(b"\0" * (16 * 3 + 1) * 16)
    data = png(16, 16, chunk(kind, body), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    assert refusal(data).code == "image.unreadable"


@pytest.mark.parametrize(("fmt", "options", "tolerance"), FILES)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_truncated_files(fmt, options, tolerance, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), fmt, **options)
    with pytest.raises(InputError) as caught:
        load_picture(data[: int(share * len(data))])
    told = {"image.truncated"} if fmt in ("JPEG", "PNG", "BMP", "GIF") else {"image.truncated", "image.unreadable"}
    assert caught.value.code in told


def test_truncated_lazy_picture():
    data = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), "JPEG")
    assert refusal(Image.open(io.BytesIO(data[: len(data) // 2]))).code == "image.truncated"


@pytest.mark.parametrize(("fmt", "options", "tolerance"), FILES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_but_input_errors_escapes(fmt, options, tolerance):
    data = encode(Image.fromarray(ramp(40, 28)), fmt, **options)
    dice = random.Random(fmt + str(options))
    outcomes = set()
    for trial in range(80):
        damaged = bytearray(data)
        for _ in range(dice.choice((1, 2, 5, 20))):
            damaged[dice.randrange(dice.choice((40, 200, len(data))) % len(data) or 1)] = dice.randrange(256)
        damaged = damaged[: dice.randrange(len(data))] if trial % 4 == 0 else damaged
        try:
            picture = load_picture(bytes(damaged))
        except InputError as error:
            outcomes.add(error.code)
        else:
            outcomes.add("fine")
            assert picture.mode == "RGB"
    assert len(outcomes) >= 2  # the damage reached more than one layer


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_bytes_after_each_signature():
    rng = np.random.default_rng(0)
    for start in (*images._SIGNATURES, b"RIFF\x40\0\0\0WEBPVP8X", b"RIFF\x40\0\0\0WEBPVP8L"):
        for length in (1, 30, 300):
            for _ in range(5):
                with pytest.raises(InputError):
                    load_picture(start + rng.bytes(length))


def test_missing_paths_and_directories(tmp_path):
    cases = {
        "image.not_found": [tmp_path / "no.png", str(tmp_path / "a" / "b.png"), "http://example.org/cat.jpg", "a\0b"],
        "image.not_a_file": [tmp_path, str(tmp_path), "/dev/null", ""],
        "image.unreadable": [str(tmp_path / ("x" * 5000))],
    }
    for code, sources in cases.items():
        for source in sources:
            error = refusal(source)
            assert (error.code, error.details) == (code, {})
            assert str(tmp_path) not in str(error)


def test_unknown_types():
    for source in (None, 3, [b"x"], io.BytesIO(b"x")):
        with pytest.raises(TypeError, match=f"got {type(source).__name__}"):
            load_picture(source)


def test_byte_limit(tmp_path, monkeypatch):
    data = encode(Image.fromarray(ramp()), "PNG")
    monkeypatch.setattr(images, "MAX_BYTES", len(data))
    assert load_picture(data).size == (24, 16)
    monkeypatch.setattr(images, "MAX_BYTES", len(data) - 1)
    assert refusal(data).code == "image.too_many_bytes"
    monkeypatch.undo()
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(30_000_001)  # a hole: it takes no room
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("read although it is too large"))
    error = refusal(tmp_path / "large.png")
    assert (error.code, error.details) == ("image.too_many_bytes", {"size": 30.1, "limit": 30})


def test_pixel_limit(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    assert load_picture(Image.new("L", (10, 10))).size == (10, 10)
    assert refusal(Image.new("L", (10, 11))).code == "image.too_many_pixels"


@pytest.mark.parametrize("size", [(8, 8), (8, 512), (512, 8), (33, 2000), (9, 576)])
def test_sizes_at_the_limits(size):
    assert load_picture(encode(Image.new("RGB", size), "PNG")).size == size


@pytest.mark.parametrize(
    ("size", "code", "limit"),
    [
        ((7, 8), "image.too_small", 8),
        ((1, 1), "image.too_small", 8),
        ((8, 513), "image.too_elongated", 64),
        ((640, 9), "image.too_elongated", 64),
    ],
)
def test_sizes_beyond_the_limits(size, code, limit):
    for source in (Image.new("RGB", size), encode(Image.new("RGB", size), "PNG"), np.zeros(size[::-1], np.uint8)):
        error = refusal(source)
        assert (error.code, error.details) == (code, {"width": size[0], "height": size[1], "limit": limit})
        assert f"{size[0]} by {size[1]}" in str(error)
    assert refusal(Image.new("RGB", (0, 5))).code == "image.empty"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_float_pictures_must_be_finite(value):
    source = Image.new("F", (8, 8), 0.5)
    source.putpixel((3, 3), value)
    assert refusal(source).code == "image.not_finite"
    assert refusal(encode(source, "TIFF")).code == "image.not_finite"


def test_pillow_settings_stay_as_they_were():
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    load_picture(encode(Image.fromarray(ramp()), "PNG"))
    refusal(png(10_000, 10_000, chunk(b"IDAT", b"")))
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


# --- geometry ---


@dataclass(frozen=True)
class Tokens:
    stride: int
    grid: tuple[int, int]


def tokens(frame: Frame, stride: int) -> Tokens:
    width, height = frame.size
    return Tokens(stride, (-(-height // stride), -(-width // stride)))


GEOMETRIES = {
    f"{mode} {size} {width}x{height}": Geometry(Preprocess(size=size, mode=mode).frame(width, height))
    for mode, size, width, height in [
        ("crop", 224, 640, 480),
        ("crop", 224, 37, 53),
        ("crop", 225, 101, 99),
        ("crop", 97, 33, 2000),
        ("crop", 32, 9, 9),
        ("whole", 224, 53, 37),
        ("whole", 225, 401, 300),
        ("whole", 224, 33, 2000),
        ("whole", 97, 512, 8),
        ("whole", 224, 224, 224),
    ]
}
STRIDES = (8, 16, 32, 64)
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
every_stride = pytest.mark.parametrize("stride", STRIDES)


def test_640_by_480_by_hand():
    """480 → 256 and 640 → 341 (341.33 truncated); 224 of each are kept, from 58 and 16 on."""
    geometry, block = GEOMETRIES["crop 224 640x480"], Tokens(8, (28, 28))
    assert geometry.picture_to_model(320.5, 240.5) == pytest.approx((320.5 * 341 / 640 - 58, 240.5 * 256 / 480 - 16))
    assert geometry.pixel_to_token(320, 240, block) == (14, 14)  # model (112.77, 112.27): 14 cells of 8 to either side
    # 58 · 640 / 341 = 108.86 and 282 · 640 / 341 = 529.27: the first centre inside is 109.5, the last one 528.5.
    row = [geometry.pixel_to_token(x, 240, block) for x in range(640)]
    assert [x for x, token in enumerate(row) if token] == list(range(109, 529))
    assert (row[109], row[528]) == ((14, 0), (14, 27))
    # 16 · 480 / 256 = 30 and 240 · 480 / 256 = 450, exactly on the edges of pixels.
    column = [geometry.pixel_to_token(320, y, block) for y in range(480)]
    assert [y for y, token in enumerate(column) if token] == list(range(30, 450))
    assert geometry.crop_box == pytest.approx((108.8563, 30, 529.2669, 450), abs=1e-4)
    assert geometry.token_to_box(0, 0, block) == pytest.approx((108.8563, 30, 123.8710, 45), abs=1e-4)
    assert geometry.token_to_box(27, 27, block) == pytest.approx((514.2522, 435, 529.2669, 450), abs=1e-4)
    # Seven cells of 8 around the first one: model -24 to 32, above and left of the crop, and above the picture itself.
    assert geometry.window_to_box(0, 0, block, 7) == pytest.approx((63.8123, -15, 168.9150, 90), abs=1e-4)
    assert geometry.window_to_box(27, 27, block, 3) == pytest.approx((499.2375, 420, 544.2815, 465), abs=1e-4)


def test_last_cell_is_cut_by_the_inputs_edge():
    """224 at stride 64: four tokens, the last with 32 pixels. At the picture's own scale the numbers stay whole."""
    geometry, block = GEOMETRIES["whole 224 224x224"], Tokens(64, (4, 4))
    assert geometry.token_to_box(3, 0, block) == Box(0, 192, 64, 224)
    assert geometry.window_to_box(3, 0, block, 3) == Box(-64, 128, 128, 320)
    assert geometry.window_to_box(3, 0, block, 1) == Box(0, 192, 64, 256)
    assert geometry.pixel_to_token(63, 191, block) == (2, 0)
    assert geometry.pixel_to_token(64, 192, block) == (3, 1)
    assert geometry.crop_box == (0, 0, 224, 224)


def exact_box(frame: Frame, row: int, col: int, stride: int) -> tuple[Fraction, ...]:
    """token_to_box in fractions, written out from the definition."""
    horizontal, vertical = (Fraction(p, r) for p, r in zip(frame.picture, frame.resized, strict=True))
    right, bottom = min(stride * (col + 1), frame.size[0]), min(stride * (row + 1), frame.size[1])
    return (
        (stride * col + frame.left) * horizontal,
        (stride * row + frame.top) * vertical,
        (right + frame.left) * horizontal,
        (bottom + frame.top) * vertical,
    )


@every_geometry
@every_stride
def test_every_pixel_lies_in_its_tokens_box(geometry, stride):
    frame = geometry.frame
    block = tokens(frame, stride)
    rows, cols = block.grid
    boxes = {(r, c): exact_box(frame, r, c, stride) for r in range(rows) for c in range(cols)}
    for (r, c), box in boxes.items():
        assert geometry.token_to_box(r, c, block) == pytest.approx([float(edge) for edge in box], abs=1e-9)
    outer = boxes[0, 0][:2] + boxes[rows - 1, cols - 1][2:]
    half = Fraction(1, 2)
    step = max(1, max(frame.picture) // 100)  # all pixels of the small pictures, a lattice and the edges of the others
    for y in sorted({*range(0, frame.picture[1], step), frame.picture[1] - 1}):
        for x in sorted({*range(0, frame.picture[0], step), frame.picture[0] - 1}):
            token = geometry.pixel_to_token(x, y, block)
            left, top, right, bottom = outer if token is None else boxes[token]
            inside = left <= x + half < right and top <= y + half < bottom
            assert inside == (token is not None)


@every_geometry
@every_stride
def test_cells_tile_what_the_model_sees(geometry, stride):
    block = tokens(geometry.frame, stride)
    rows, cols = block.grid
    boxes = [[geometry.token_to_box(r, c, block) for c in range(cols)] for r in range(rows)]
    for r in range(rows):
        for c in range(cols):
            assert c == 0 or boxes[r][c].left == boxes[r][c - 1].right
            assert r == 0 or boxes[r][c].top == boxes[r - 1][c].bottom
    first, last, crop = boxes[0][0], boxes[-1][-1], geometry.crop_box
    assert (first.left, first.top, last.right, last.bottom) == crop
    if geometry.frame.size == geometry.frame.resized:
        assert crop == (0, 0, *geometry.frame.picture)


@every_geometry
def test_round_trips(geometry):
    width, height = geometry.frame.picture
    for x, y in np.random.default_rng(0).uniform(-0.5, 1.5, (200, 2)) * (width, height):
        assert geometry.model_to_picture(*geometry.picture_to_model(x, y)) == pytest.approx((x, y), abs=1e-9)
        assert geometry.picture_to_model(*geometry.model_to_picture(x, y)) == pytest.approx((x, y), abs=1e-9)


@every_geometry
@pytest.mark.parametrize("size", [1, 3, 7])
def test_window_is_the_hull_of_its_cells(geometry, size):
    """Where the whole window lies inside, its box is that of the first and the last of its cells."""
    block, reach = tokens(geometry.frame, 8), size // 2
    rows, cols = (side // 8 for side in reversed(geometry.frame.size))  # whole cells only
    for r in range(reach, rows - reach):
        for c in range(reach, cols - reach):
            first = geometry.token_to_box(r - reach, c - reach, block)
            last = geometry.token_to_box(r + reach, c + reach, block)
            assert geometry.window_to_box(r, c, block, size) == (*first[:2], *last[2:])


@pytest.mark.parametrize("pixel_at", [(-1, 0), (0, -1), (640, 0), (0, 480), (10**9, 5)])
def test_pixel_outside_the_picture(pixel_at):
    with pytest.raises(ValueError, match=r"x in 0…639 and y in 0…479, got \(") as caught:
        GEOMETRIES["crop 224 640x480"].pixel_to_token(*pixel_at, Tokens(8, (28, 28)))
    assert str(pixel_at) in str(caught.value)


def test_token_outside_the_grid_and_even_windows():
    geometry, block = GEOMETRIES["crop 224 640x480"], Tokens(8, (28, 28))
    for token in ((-1, 0), (0, 28), (28, 0)):
        with pytest.raises(ValueError, match=r"row in 0…27 and col in 0…27"):
            geometry.token_to_box(*token, block)
        with pytest.raises(ValueError, match=r"row in 0…27 and col in 0…27"):
            geometry.window_to_box(*token, block, 3)
    for size in (0, 2, -1):
        with pytest.raises(ValueError, match=f"odd window size of at least 1, got {size}"):
            geometry.window_to_box(0, 0, block, size)


@pytest.mark.parametrize("mode", ["crop", "whole"])
@pytest.mark.parametrize("size", [(64, 48), (51, 77)])
def test_the_map_agrees_with_the_pixels_that_the_model_gets(mode, size):
    """One bright pixel, enlarged by the real transform, has its centre of mass where the geometry says."""
    x, y = size[0] // 2 + 3, size[1] // 2 - 2
    source = Image.new("RGB", size)
    source.putpixel((x, y), (255, 255, 255))
    preprocess = Preprocess(mode=mode)
    light = np.asarray(preprocess.view(source)).astype(float)[..., 0]  # (H, W)
    down, across = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    centre = ((light * across).sum() / light.sum(), (light * down).sum() / light.sum())
    geometry = Geometry(preprocess.frame(*size))
    assert geometry.picture_to_model(x + 0.5, y + 0.5) == pytest.approx(centre, abs=0.1)


def test_receptive_field_is_centred_on_the_cells_first_pixel():
    """The docstring's caveat, measured: three 3x3 convolutions of stride 2 padded by 1, as in the stem."""
    source = torch.zeros(1, 1, 64, 64, requires_grad=True)
    out = source
    for _ in range(3):
        out = torch.nn.functional.conv2d(out, torch.ones(1, 1, 3, 3), stride=2, padding=1)  # (1, 1, 8, 8) at the end
    out[0, 0, 4, 3].backward()
    seen = source.grad[0, 0].nonzero()  # (n, 2): row, column
    assert seen.float().mean(0).tolist() == [4 * 8, 3 * 8]
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [15, 15]


# --- the bundled examples ---

ENTRIES = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))


def test_every_example_is_listed_and_licensed():
    assert sorted(entry["file"] for entry in ENTRIES) == sorted(path.name for path in EXAMPLES.glob("*.jpg"))
    assert len({entry["id"] for entry in ENTRIES}) == len(ENTRIES) >= 6
    licences = (EXAMPLES / "LICENSES.md").read_text(encoding="utf-8")
    for entry in ENTRIES:
        line = next(line for line in licences.splitlines() if f"`{entry['file']}`" in line)
        assert entry["author"] in line
        assert entry["source_url"] in line
        assert entry["licence"].lower() in line.lower()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["id"] for entry in ENTRIES])
def test_example(entry):
    path = EXAMPLES / entry["file"]
    assert path.stat().st_size <= 90_000
    picture = load_picture(path)
    assert max(picture.size) <= 720
    for texts in (entry["title"], entry["alt"]):
        assert set(texts) == {"en", "zh-CN"}
        assert all(texts.values())
    geometry = Geometry(Preprocess().frame(*picture.size))
    found = {geometry.pixel_to_token(x, y, Tokens(8, (28, 28))) for x, y in entry["focus"]}
    assert 4 <= len(entry["focus"]) <= 6
    assert None not in found
    assert len(found) == len(entry["focus"])
