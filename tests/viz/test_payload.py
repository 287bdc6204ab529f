"""The payload is read back here by a reader of its own, written from the documented layout."""

import io
import json
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsnet.predictor import load_predictor
from viz.capture import trace_image
from viz.images import load_picture
from viz.payload import MAX_BYTES, encode_payload, principal_colours, shorten, write_payload
from viz.trace import ForwardTrace

PICTURE = Path(__file__).parents[2] / "assets" / "examples" / "cat.jpg"
TITLE = {"en": "A tabby cat", "zh-CN": "虎斑猫"}


@cache
def traced(variant: str, size: int) -> ForwardTrace:
    return trace_image(load_predictor(f"untrained/lsnet_{variant}", "cpu"), PICTURE, size=size)


@cache
def payload(variant: str, size: int) -> bytes:
    picture = load_picture(PICTURE)
    return encode_payload(traced(variant, size), picture, model=f"lsnet_{variant}", title=TITLE, focus=[(172, 110)])


def read(data: bytes) -> tuple[dict, list[dict], bytes]:
    """Header, blocks with arrays in place of their descriptions, and the picture's file."""
    magic, version, length, total = struct.unpack("<4sIII", data[:16])
    assert (magic, version, total) == (b"LSNX", 1, len(data))
    assert length % 8 == 0
    header, body = json.loads(data[16 : 16 + length]), data[16 + length :]

    def array(entry: dict) -> np.ndarray:
        count, start = int(np.prod(entry["shape"])), entry["offset"]
        assert start % 8 == 0
        if entry["dtype"] == "f24":
            parts = np.frombuffer(body, np.uint8, 3 * count, start).reshape(-1, 3)
            values = np.pad(parts, ((0, 0), (1, 0))).reshape(-1).view("<f4")
        else:
            values = np.frombuffer(body, {"f32": "<f4", "u8": "u1"}[entry["dtype"]], count, start)
        return values.reshape(entry["shape"])

    blocks = [
        {k: array(v) if isinstance(v, dict) and "dtype" in v else v for k, v in block.items()}
        for block in header["blocks"]
    ]
    return header, blocks, array(header["picture"]).tobytes()


@pytest.mark.parametrize(("variant", "size"), [("t", 224), ("n", 224), ("b", 448)])
def test_all_kernels_and_attention_come_back(variant: str, size: int) -> None:
    tolerance = 2**-16 if (variant, size) == ("b", 448) else 0
    _, blocks, _ = read(payload(variant, size))
    traces = list(traced(variant, size).blocks.values())
    assert [block["name"] for block in blocks] == [trace.name for trace in traces]
    for block, trace in zip(blocks, traces, strict=True):
        assert (block["kind"], tuple(block["grid"]), block["stride"]) == (trace.kind, trace.grid, trace.stride)
        if trace.kernels is not None:
            expected = trace.kernels.permute(2, 3, 0, 1).numpy()
            np.testing.assert_allclose(block["kernels"], expected, rtol=tolerance, atol=0)
        if trace.attention is not None:
            np.testing.assert_allclose(block["attention"], trace.attention.numpy(), rtol=tolerance, atol=0)
            np.testing.assert_allclose(block["attention"].sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize(("variant", "size"), [("t", 224), ("b", 448)])
def test_the_equation_agrees_for_every_channel_that_is_kept(variant: str, size: int) -> None:
    _, blocks, _ = read(payload(variant, size))
    dynamic = [block for block in blocks if block["kind"] == "ls"]
    assert dynamic
    for block in dynamic:
        (height, width), groups = block["grid"], block["kernels"].shape[2]
        assert {channel % groups for channel in block["channels"]} == set(range(groups))
        inputs = np.pad(block["inputs"].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
        windows = np.stack([inputs[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], -1)
        weights = block["kernels"].transpose(2, 0, 1, 3)[np.array(block["channels"]) % groups]  # (M, h, w, 9)
        error = np.abs((windows * weights).sum(-1) - block["aggregated"])
        assert (error <= 2e-5 * np.abs(windows * weights).sum(-1) + 1e-7).all()


@pytest.mark.parametrize("size", [224, 448])
def test_size(size: int) -> None:
    assert len(payload("b", size)) <= MAX_BYTES == 8_000_000


def test_a_detailed_picture_does_not_break_the_budget() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    picture = Image.fromarray(noise)
    trace = trace_image(load_predictor("untrained/lsnet_b", "cpu"), picture, size=448)
    assert len(encode_payload(trace, picture, model="lsnet_b")) <= MAX_BYTES


def test_header_and_picture() -> None:
    header, _, file = read(payload("t", 224))
    trace = traced("t", 224)
    picture = Image.open(io.BytesIO(file))
    assert header["title"] == TITLE
    assert list(picture.size) == header["picture"]["size"] == header["frame"]["picture"]
    assert header["frame"]["size"] == [224, 224]
    assert [entry["id"] for entry in header["topk"]] == [label.id for label, _ in trace.topk(5)]
    assert header["weights"] == trace.weights
    assert header["example"] is None


def test_the_context_summary_is_its_mean_over_channels() -> None:
    _, blocks, _ = read(payload("t", 224))
    for block, trace in zip(blocks, traced("t", 224).blocks.values(), strict=True):
        maps = trace.context if trace.context is not None else trace.features
        assert maps is not None
        assert block["seen"] == ("context" if trace.kind == "ls" else "features")
        np.testing.assert_allclose(block["mean"], maps.mean(0).numpy(), rtol=1e-4, atol=1e-5)
        assert block["colours"].shape == (*trace.grid, 3)


def test_principal_colours_of_a_ramp() -> None:
    # One direction only: a ramp from left to right in both channels. By hand: the first component runs from the
    # 2nd percentile (dark) to the 98th (bright), and there are no further components.
    ramp = np.tile(np.arange(101.0, dtype=np.float32), (2, 1, 1))
    colours = principal_colours(ramp)[0]
    assert colours[[0, 2, 50, 98, 100], 0].tolist() == [0, 0, 127, 255, 255]
    assert (colours[:, 1:] == 128).all()


def test_shortening_rounds_to_nearest_even() -> None:
    one, step = 1.0, 2.0**-15  # the last bit that f24 keeps of a number from 1 to 2
    values = np.array([one, one + step, one + 0.49 * step, one + 0.51 * step, one + 0.5 * step, one + 1.5 * step, -one])
    back = np.pad(shorten(values.astype(np.float32)), ((0, 0), (1, 0))).reshape(-1).view("<f4")
    assert back.tolist() == [one, one + step, one, one + step, one, one + 2 * step, -one]


def test_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a picture of"):
        encode_payload(traced("t", 224), Image.new("RGB", (8, 8)), model="lsnet_t")


def test_written_files_are_complete(tmp_path: Path) -> None:
    path = write_payload(tmp_path / "cat.bin", traced("t", 224), load_picture(PICTURE), model="lsnet_t")
    read(path.read_bytes())
    assert list(tmp_path.iterdir()) == [path]
