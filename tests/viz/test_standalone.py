"""Pages to take home: complete, small enough, honest, and safe whatever a title says."""

import base64
import gzip
import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lsnet
from lsnet import InputError
from viz import standalone
from viz.capture import trace_image
from viz.examples import examples
from viz.lessons import lessons
from viz.payload import encode_payload
from viz.standalone import Place, standalone_page, step_page
from viz.standalone.__main__ import main
from viz.texts import LANGUAGES, entries
from viz.trace import BlockTrace, ForwardTrace

SOURCE = "untrained/lsnet_n"


def payload_of(page: str) -> bytes:
    packed = re.search(r'<script type="text/plain" id="payload">([^<]*)</script>', page)
    assert packed
    return gzip.decompress(base64.b64decode(packed[1]))


def header_of(page: str) -> dict[str, Any]:
    payload = payload_of(page)
    length = struct.unpack_from("<4sIII", payload)[2]
    return json.loads(payload[16 : 16 + length])


def packed_size(payload: bytes) -> int:
    return len(base64.b64encode(gzip.compress(payload)))


@pytest.fixture(scope="module")
def page(trace: ForwardTrace, photo: Image.Image) -> str:
    place = Place("blocks2.3", (290, 155), "similarity", "zh-CN")
    return standalone_page(trace, photo, source=SOURCE, trained=False, title="</script><b>cup", place=place)


def test_it_carries_the_payload_as_it_is(page: str, trace: ForwardTrace, photo: Image.Image) -> None:
    title = dict.fromkeys(LANGUAGES, "</script><b>cup")
    assert payload_of(page) == encode_payload(trace, photo, model=SOURCE, title=title)


def test_it_asks_for_nothing_from_anywhere(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href)=["']?(?!data:|blob:)[\w/.:]""", page)
    assert "@import" not in page
    assert not re.search(r"url\((?![\"']?data:)", page)


def test_a_title_cannot_end_a_script_or_begin_an_element(page: str) -> None:
    assert page.count("</script") == 2  # the payload's and the program's own
    assert "<b>cup" not in page.split("<body>")[0]
    assert "&lt;/script&gt;&lt;b&gt;cup" in page
    assert not re.search(r"<!--", page)


def test_it_opens_where_it_was_told(page: str) -> None:
    assert "?block=blocks2.3&px=290%2C155&view=similarity&lang=zh-CN" in page
    assert '<html lang="zh-CN">' in page


def test_it_warns_of_untrained_weights_in_both_languages_and_only_then(
    page: str, trace: ForwardTrace, photo: Image.Image
) -> None:
    for language in LANGUAGES:
        bold = re.search(r"\*\*(.+?)\*\*", entries(language)["notice.untrained"])
        assert bold
        assert f"<strong>{bold[1]}</strong>" in page
    trained = replace(trace, weights="lsnet_t · bundled/lsnet_t")
    assert 'page-notice"><p>' not in standalone_page(trained, photo, source="bundled/lsnet_t", trained=True)
    own = replace(trace, weights="lsnet_n · file/mine.safetensors")  # a small network of this project's: that is told
    assert 'page-notice"><p>' in standalone_page(own, photo, source="file/mine.safetensors", trained=True)


def test_a_photo_keeps_its_licence(trace: ForwardTrace, predictor: lsnet.Predictor) -> None:
    example = examples()[0]
    picture = Image.open(example.path).convert("RGB")
    page = standalone_page(trace_image(predictor, picture), picture, source=SOURCE, trained=False, example=example)
    assert example.author in page
    assert example.licence in page
    assert example.source_url in page


def enlarged(block: BlockTrace) -> BlockTrace:
    """The same block on a grid that takes far more room, with numbers that do not compress."""
    grid, generator = (64, 64), torch.Generator().manual_seed(0)
    large = {
        name: torch.randn((*tensor.shape[:-2], *grid), generator=generator)
        for name, tensor in block.tensors().items()
        if name != "attention"
    }
    return replace(block, grid=grid, **large)


def test_what_does_not_fit_is_left_out_and_told(trace: ForwardTrace, photo: Image.Image) -> None:
    dynamic = [name for name, block in trace.blocks.items() if block.kind == "ls"]
    blocks = {name: enlarged(block) if name in dynamic else block for name, block in trace.blocks.items()}
    heavy = replace(trace, blocks=blocks)
    page = standalone_page(heavy, photo, source=SOURCE, trained=False, place=Place(dynamic[-1]))
    assert len(page.encode()) <= standalone.MAX_BYTES
    kept = [block["name"] for block in header_of(page)["blocks"]]
    left = [name for name in blocks if name not in kept]
    assert left
    assert set(left) < set(dynamic)
    assert dynamic[-1] in kept  # the place's own, although it is the largest
    told = entries("en")["takehome.left_out"].format(count=len(left), all=len(blocks), blocks=", ".join(left))
    assert told in page
    # One more would have been too much.
    smallest = min(left, key=lambda name: sum(t.numel() for t in blocks[name].tensors().values()))
    more = replace(heavy, blocks={name: block for name, block in blocks.items() if name in (*kept, smallest)})
    encoded = encode_payload(more, photo, model=SOURCE, max_bytes=standalone.MAX_BYTES * 3 // 4)
    around = len(page.encode()) - packed_size(payload_of(page))
    assert around + packed_size(encoded) > standalone.MAX_BYTES


def test_rounded_numbers_are_told(trace: ForwardTrace, photo: Image.Image, page: str) -> None:
    first = next(name for name, block in trace.blocks.items() if block.kind == "ls")
    blocks = {name: enlarged(block) if name == first else block for name, block in trace.blocks.items()}
    told = entries("en")["takehome.rounded"]
    rounded = standalone_page(replace(trace, blocks=blocks), photo, source=SOURCE, trained=False, place=Place(first))
    dtypes = {block["kernels"]["dtype"] for block in header_of(rounded)["blocks"] if "kernels" in block}
    assert (told in rounded) == (dtypes == {"f24"})
    assert told not in page
    assert {block["kernels"]["dtype"] for block in header_of(page)["blocks"] if "kernels" in block} == {"f32"}


def test_an_unknown_block_is_refused(trace: ForwardTrace, photo: Image.Image) -> None:
    with pytest.raises(KeyError, match=r"no block 'blocks9\.9'"):
        standalone_page(trace, photo, source=SOURCE, trained=False, place=Place("blocks9.9"))


def test_a_step_shows_its_texts_with_their_numbers_computed(tiny_predictor: lsnet.Predictor) -> None:
    page = step_page(2, "multiply-and-add", predictor=tiny_predictor)
    for language in LANGUAGES:
        step = next(step for step in lessons(language)[1].steps if step.name == "multiply-and-add")
        assert f"<h1>{step.title}</h1>" in page
    assert "<title>Multiply and add · One pixel, one kernel · LSNet Explorer</title>" in page
    articles = re.findall(r'<article class="page-step">.*?</article>', page, re.DOTALL)
    assert len(articles) == len(LANGUAGES)
    for article in articles:
        assert "<math" in article
        assert "<details>" in article
        assert not re.search(r"\$|\{\{", article)
    trace = trace_image(tiny_predictor, next(example.path for example in examples() if example.id == "cat"))
    block = trace.blocks["blocks2.3"]
    row, column = trace.geometry.pixel_to_token(172, 110, block) or (-1, -1)
    wrote = f"{block.aggregated[0, row, column].item():.3g}".replace("-", "−")  # type: ignore[index]
    assert wrote in re.sub(r"<[^>]+>", "", articles[0])


@pytest.mark.parametrize(("lesson", "step", "code"), [(99, "tokens", "takehome.lesson"), (1, "none", "takehome.step")])
def test_a_step_that_is_not_there_is_told(lesson: int, step: str, code: str) -> None:
    with pytest.raises(InputError) as told:
        step_page(lesson, step)
    assert told.value.code == code


def test_the_command_writes_a_page_that_does_not_name_the_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "aunt-mary.png")
    out = tmp_path / "page.html"
    main([str(tmp_path / "aunt-mary.png"), "--model", SOURCE, "--size", "96", "--pixel", "60,40", str(out)])
    page = out.read_text(encoding="utf-8")
    assert header_of(page)["frame"]["picture"] == [120, 80]
    assert "aunt-mary" not in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize(
    "arguments",
    [["one.png"], ["a.png", "b.html", "--lesson", "1"], ["a.png", "b.html", "--lesson", "1", "--step", "tokens"]],
)
def test_the_command_says_how_it_is_used(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert "PICTURE PAGE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a.png", "page.html", "--pixel", "here"], "expected X,Y in whole pixels, got 'here'"),
        (["a.png", "page.html", "--colouring", "pink"], "similarity"),
        (["page.html", "--lesson", "1", "--step", "tokens", "--model", "lsnet_t"], "leave out --model"),
        (["photo.jpg", "--lesson", "1", "--step", "tokens"], "expected a page that ends in .html, got photo.jpg"),
        (["a.png", "b.png"], "expected a page that ends in .html, got b.png"),
        (["a.png", "nowhere/page.html"], "in a folder that is there, got nowhere/page.html"),
    ],
)
def test_the_command_refuses_before_it_computes_anything(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    with pytest.raises(SystemExit):
        main(arguments)
    assert told in capsys.readouterr().err
    assert (tmp_path / "photo.jpg").read_bytes() == b"a photo"


def test_the_command_tells_of_a_pixel_outside_and_of_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (80, 60)).save(photo)
    with pytest.raises(SystemExit, match="has 80 × 60, got 80,5"):
        main([str(photo), str(tmp_path / "page.html"), "--model", SOURCE, "--pixel", "80,5"])
    (tmp_path / "loop.html").symlink_to("loop.html")
    with pytest.raises(SystemExit, match=r"^error: .*loop\.html cannot be written: "):
        main([str(photo), str(tmp_path / "loop.html"), "--model", SOURCE, "--size", "96"])


def test_the_command_tells_what_is_wrong_with_a_picture(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="error: There is no file at this path"):
        main([str(tmp_path / "none.png"), str(tmp_path / "page.html"), "--model", SOURCE])
