"""A trace as one compact binary file for the browser, so that it can answer every move of the mouse by itself.

Layout, little-endian::

    4 bytes   magic, b"LSNX"
    uint32    version of this layout, VERSION
    uint32    length of the header in bytes, a multiple of 8
    uint32    length of the whole file in bytes
    header    JSON in UTF-8, padded with spaces
    arrays    one after the other, each starting at a multiple of 8 bytes after the header

An array is described in the header as ``{"dtype", "shape", "offset"}``; the offset counts from the header's end. Types:

    f32  IEEE float32, the model's own numbers
    f24  the upper three bytes of a float32, rounded to nearest even: relative error at most 2^-16 = 1.6e-5
    u8   bytes

Arrays of a block (h, w: its grid; N = h·w):

    kernels     (h, w, G, K·K)  all dynamic kernels, token by token, as one hover reads them; (1, 1, G, K·K) where
                                the picture has one for all of its tokens
    inputs      (M, h, w)       what the aggregation read, of the channels listed under ``channels``
    aggregated  (M, h, w)       what the aggregation wrote, of the same channels
    attention   (heads, N, N)
    mean        (h, w)          mean over channels of the context (LS blocks) or of the block's output (the others)
    colours     (h, w, 3) u8    first three principal components of the same, as red, green and blue

Size. For LSNet-B at 448 all of this in float32 would take 21 MB. So the equation is kept for some channels of each
kernel set: as many of its eight as fit into TARGET_BYTES, one at the least. Inputs and outputs are always float32.
Kernels and attention are float32 too, unless that would exceed MAX_BYTES (of the named models at 448 or below only B
at 448 does): then they are f24, and the equation agrees with the model to 2e-5 of the sum of its terms' magnitudes.
Larger inputs may still exceed MAX_BYTES: LSNet-B on a picture of 16:9 seen whole at 448 takes 14 MB. The page then
shows it at a smaller size, and says so.
"""

import io
import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viz.components import principal_components
from viz.trace import BlockTrace, ForwardTrace

MAGIC = b"LSNX"
VERSION = 1

MAX_BYTES = 8_000_000
TARGET_BYTES = 4_000_000
MAX_PICTURE_SIDE = 1024
# Longest side and JPEG quality of the stored picture: the first that leaves the file within MAX_BYTES.
PICTURE_FORMS = ((MAX_PICTURE_SIDE, 88), (MAX_PICTURE_SIDE, 75), (800, 70), (640, 60))

_PREFIX = struct.Struct("<4sIII")
_RESERVE = 400_000  # header, picture and maps, when the budget for the rest is planned

Array = np.ndarray[Any, Any]


def encode_payload(
    trace: ForwardTrace,
    picture: Image.Image,
    *,
    model: str,
    source: str | None = None,
    title: Mapping[str, str] | None = None,
    alt: Mapping[str, str] | None = None,
    focus: Sequence[tuple[float, float]] = (),
    example: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """Encode a trace and the picture that it was made from.

    Args:
        trace: what happened inside the network.
        picture: the whole picture, RGB and upright, as :func:`viz.images.load_picture` gives it.
        model: the network's name, such as ``"lsnet_t"``.
        source: what :func:`lsnet.load_predictor` was given, for the Python lines to take home; ``model`` by default.
        title: the picture's title by language.
        alt: a description of the picture by language.
        focus: picture pixels that are worth a look, in order, for the dot that travels until the visitor takes over.
        example: id of a bundled example, which a link may carry; ``None`` for a visitor's own picture.
        max_bytes: beyond this size, numbers are rounded and fewer channels kept, as far as that goes.

    Raises:
        ValueError: the picture is not the one that was traced, judging by its size.
    """
    if picture.size != trace.geometry.frame.picture:
        raise ValueError(f"expected a picture of {trace.geometry.frame.picture} pixels, got {picture.size}")
    data = _Arrays()
    real, share = _plan(trace, max_bytes)
    header = {
        "model": model,
        "source": source or model,
        "example": example,
        "title": dict(title or {}),
        "alt": dict(alt or {}),
        "focus": [list(point) for point in focus],
        "frame": {**asdict(trace.geometry.frame), "side": trace.geometry.frame.side},
        "topk": [{"id": label.id, "en": label.en, "zh-CN": label.zh, "probability": p} for label, p in trace.topk(5)],
        "labelSet": dict(trace.label_set),
        "weights": trace.weights,
        "device": trace.device,
        "seconds": trace.seconds,
        "blocks": [_block(block, data, real, share) for block in trace.blocks.values()],
    }
    header["picture"] = _picture(picture, data, MAX_BYTES - data.size - 20_000)
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = data.joined()
    return _PREFIX.pack(MAGIC, VERSION, len(text), _PREFIX.size + len(text) + len(body)) + text + body


def write_payload(path: str | os.PathLike[str], trace: ForwardTrace, picture: Image.Image, **meta: Any) -> Path:
    """Write a payload to a file; arguments as for :func:`encode_payload`. The file appears complete or not at all."""
    target = Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    partial.write_bytes(encode_payload(trace, picture, **meta))
    partial.replace(target)
    return target


def principal_colours(maps: Array) -> Array:
    """The first three principal components over tokens, as colours.

    Each component runs from its 2nd to its 98th percentile; see :func:`viz.components.principal_components`.

    Args:
        maps: (C, h, w).

    Returns:
        (h, w, 3) uint8. Components that the maps do not have are 128.
    """
    scores, explained = principal_components(maps)
    colours = np.full(scores.shape, 128, np.uint8)
    for i in np.flatnonzero(explained):
        low, high = np.quantile(scores[:, i], (0.02, 0.98))
        colours[:, i] = np.clip((scores[:, i] - low) / ((high - low) or 1) * 255, 0, 255)
    return colours.reshape(*maps.shape[1:], 3)


def shorten(values: Array) -> Array:
    """Float32 numbers as f24: the upper three bytes, rounded to nearest even. (n,) to (n, 3) uint8."""
    bits = np.ascontiguousarray(values, "<f4").reshape(-1).view("<u4")
    rounded = (bits + 0x7F + ((bits >> 8) & 1)) >> 8
    return rounded.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]


class _Arrays:
    """The section after the header, as it grows."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, values: Array, dtype: str) -> dict[str, Any]:
        """Append an array and return its description."""
        stored = shorten(values) if dtype == "f24" else np.ascontiguousarray(values, {"f32": "<f4", "u8": "u1"}[dtype])
        raw = stored.tobytes()
        entry = {"dtype": dtype, "shape": list(values.shape), "offset": self.size}
        raw += b"\0" * (-len(raw) % 8)
        self.parts.append(raw)
        self.size += len(raw)
        return entry

    def joined(self) -> bytes:
        return b"".join(self.parts)


def _plan(trace: ForwardTrace, max_bytes: int) -> tuple[str, int]:
    """Type of kernels and attention, and channels to keep per kernel set."""
    dynamic = [block for block in trace.blocks.values() if block.kernels is not None]
    kernels = sum(_kernels(block).size for block in dynamic)
    attention = sum(block.attention.numel() for block in trace.blocks.values() if block.attention is not None)
    # One channel of every set, inputs and outputs.
    single = sum(
        2 * block.kernels.shape[0] * block.grid[0] * block.grid[1] for block in dynamic if block.kernels is not None
    )
    whole = _RESERVE + 4 * (kernels + attention + single)
    dtype, width = ("f32", 4) if whole <= max_bytes else ("f24", 3)
    room = min(TARGET_BYTES, max_bytes) - _RESERVE - width * (kernels + attention)
    return dtype, next((share for share in (8, 4, 2) if single and share * single * 4 <= room), 1)


def _block(block: BlockTrace, data: _Arrays, dtype: str, share: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": block.name,
        "kind": block.kind,
        "mixer": block.mixer,
        "stage": block.stage,
        "stride": block.stride,
        "grid": list(block.grid),
        "kernelLarge": block.kernel_large,
        "kernelSmall": block.kernel_small,
    }
    seen = block.context if block.context is not None else block.features
    if seen is not None:
        maps = seen.numpy()
        entry["seen"] = "context" if block.context is not None else "features"
        entry["mean"] = data.add(maps.mean(0), "f32")
        entry["colours"] = data.add(principal_colours(maps), "u8")
    if block.features is not None:
        entry["dim"] = block.features.shape[0]
    if block.kernels is not None:
        kernels = _kernels(block)  # (G, K*K, h, w)
        entry["kernels"] = data.add(kernels.transpose(2, 3, 0, 1), dtype)
        if block.inputs is not None and block.aggregated is not None:
            # Channel c uses set c % G, so the first share·G channels are `share` of every set.
            count = min(share * len(kernels), len(block.inputs))
            entry["channels"] = list(range(count))
            entry["inputs"] = data.add(block.inputs[:count].numpy(), "f32")
            entry["aggregated"] = data.add(block.aggregated[:count].numpy(), "f32")
    if block.attention is not None:
        entry["attention"] = data.add(block.attention.numpy(), dtype)
    return entry


def _kernels(block: BlockTrace) -> Array:
    """What is stored of a block's kernels: those of the picture, which all of its tokens share, once."""
    assert block.kernels is not None
    kernels = block.kernels.numpy()
    return kernels[:, :, :1, :1] if block.one_kernel_for_all else kernels


def _picture(picture: Image.Image, data: _Arrays, room: int) -> dict[str, Any]:
    for side, quality in PICTURE_FORMS:
        shown = _within(picture, side)
        file = io.BytesIO()
        shown.save(file, "JPEG", quality=quality)
        if file.tell() <= room:
            break
    entry = data.add(np.frombuffer(file.getvalue(), np.uint8), "u8")
    return {"mime": "image/jpeg", "size": list(shown.size), **entry}


def _within(picture: Image.Image, side: int) -> Image.Image:
    """The picture, no longer than a side; a large one is not copied for it."""
    scale = min(1.0, side / max(picture.size))
    if scale == 1:
        return picture
    width, height = (max(1, round(length * scale)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
