"""Weights: every file that users have loads; every file that cannot says so in one sentence; nothing is executed."""

import argparse
import os
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

import lsnet
from lsnet import weights
from lsnet.errors import InputError
from lsnet.labels import imagenet_labels, numbered_labels
from lsnet.preprocess import Preprocess
from lsnet.weights import WeightsCard, load_model, save_weights
from tests.conftest import randomize

CARD = WeightsCard(
    "lsnet_n",
    options={"mixer": "static", "img_size": 128},
    classes=numbered_labels(4),
    label_set={"en": "four", "zh": "四类"},
    preprocess=Preprocess(size=128, crop_pct=0.9, mean=(0.1, 0.2, 0.3)),
    training={"accuracy": {"top1": 0.5}},
)


@pytest.fixture(scope="module")
def small() -> torch.nn.Module:
    return randomize(timm.create_model("lsnet_n", mixer="static", img_size=128, num_classes=4))


def same_logits(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.equal(a(x), b(x))


def test_saved_weights_come_back_with_their_card(tmp_path: Path, small: torch.nn.Module) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, small, CARD)
    model, card = load_model(path)
    assert same_logits(model, small)
    assert card == replace(CARD, source="mine.safetensors")
    assert not model.training


def test_half_precision_files_hold_half_the_bytes_and_load_in_float32(tmp_path: Path, small: torch.nn.Module) -> None:
    save_weights(tmp_path / "full.safetensors", small, CARD)
    save_weights(tmp_path / "half.safetensors", small, CARD, torch.float16)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.55 * (tmp_path / "full.safetensors").stat().st_size
    model, _ = load_model(tmp_path / "half.safetensors")
    assert next(model.parameters()).dtype == torch.float32
    torch.testing.assert_close(model.head.l.weight, small.head.l.weight, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["lsnet_t", "lsnet_s_distill", "lsnet_b", "lsnet_n"])
@pytest.mark.parametrize("wrap", ["bare", "model", "state_dict", "module."])
def test_the_authors_files_are_recognized_by_their_shapes(tmp_path: Path, name: str, wrap: str) -> None:
    model = timm.create_model(name).eval()
    state = model.state_dict()
    arguments = argparse.Namespace(lr=1e-3)  # training scripts keep their command line in the file
    contents = {
        "bare": state,
        "model": {"model": state, "args": arguments, "epoch": 299},
        "state_dict": {"state_dict": state},
        "module.": {f"module.{key}": value for key, value in state.items()},
    }[wrap]
    torch.save(contents, tmp_path / "checkpoint.pth")
    loaded, card = load_model(tmp_path / "checkpoint.pth")
    assert card.architecture == name
    assert card.classes == imagenet_labels()
    assert card.trained
    assert same_logits(loaded, model)


def test_a_trained_transplant_comes_back(tmp_path: Path) -> None:
    model = timm.create_model("ls_deit_tiny", num_classes=4).eval()
    path = tmp_path / "deit.safetensors"
    save_weights(path, model, replace(CARD, architecture="ls_deit_tiny", options={}))
    loaded, _ = load_model(path)
    x = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(x), model(x))


def test_a_detection_backbone_loads_with_its_own_bias_tables(tmp_path: Path) -> None:
    model = randomize(timm.create_model("lsnet_t", num_classes=0, img_size=896))
    state = {f"backbone.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state | {"bbox_head.weight": torch.zeros(1)}, "meta": {}}, tmp_path / "retinanet.pth")
    loaded, card = load_model(tmp_path / "retinanet.pth")
    assert loaded.config.grid(4) == (14, 14)
    assert card.classes == ()
    assert same_logits(loaded, model)


def test_a_file_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"model": Hostile()}, tmp_path / "hostile.pth")
    with pytest.raises(InputError) as caught:
        load_model(tmp_path / "hostile.pth")
    assert caught.value.code == "weights.unreadable"
    assert not (tmp_path / "executed").exists()


def write_bad(path: Path, kind: str) -> Path:
    state = timm.create_model("lsnet_n", num_classes=4).state_dict()
    pth, safe = path / "bad.pth", path / "bad.safetensors"
    if kind == "truncated pth":
        torch.save(state, pth)
        pth.write_bytes(pth.read_bytes()[: pth.stat().st_size // 2])
    elif kind == "truncated safetensors":
        save_weights(safe, timm.create_model("lsnet_n", mixer="static", img_size=128, num_classes=4), CARD)
        safe.write_bytes(safe.read_bytes()[:-1000])
        return safe
    elif kind == "text":
        pth.write_text("<html>not found</html>")
    elif kind == "no tensors":
        torch.save({"model": {"a": 1}}, pth)
    elif kind == "another network":
        torch.save(timm.create_model("resnet18").state_dict(), pth)
    elif kind == "fused":
        torch.save(timm.create_model("lsnet_n").eval().fuse().state_dict(), pth)
    elif kind == "a key missing":
        del state["head.l.bias"]
        torch.save(state, pth)
    elif kind == "classes":
        save_weights(
            safe,
            timm.create_model("lsnet_n", mixer="static", img_size=128, num_classes=4),
            replace(CARD, classes=numbered_labels(5)),
        )
        return safe
    elif kind == "a hostile card":  # timm would open another file for it
        card = replace(CARD, options={"checkpoint_path": str(path / "other.pth")})
        save_weights(safe, timm.create_model("lsnet_n", mixer="static", img_size=128, num_classes=4), card)
        return safe
    elif kind == "a card of another network":
        save_weights(
            safe, timm.create_model("resnet18", num_classes=4), replace(CARD, architecture="resnet18", options={})
        )
        return safe
    elif kind == "a card of no network":
        card = replace(CARD, options={"mixer": "static", "kernel_small": 2})
        save_weights(safe, timm.create_model("lsnet_n", mixer="static", img_size=128, num_classes=4), card)
        return safe
    elif kind == "another mixer":
        save_weights(safe, timm.create_model("lsnet_n", img_size=128, num_classes=4), CARD)
        return safe
    return pth


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("missing", "weights.not_found"),
        ("truncated pth", "weights.unreadable"),
        ("truncated safetensors", "weights.unreadable"),
        ("text", "weights.unreadable"),
        ("no tensors", "weights.no_state"),
        ("another network", "weights.not_lsnet"),
        ("fused", "weights.not_lsnet"),
        ("a key missing", "weights.mismatch"),
        ("a hostile card", "weights.not_lsnet"),
        ("a card of another network", "weights.not_lsnet"),
        ("a card of no network", "weights.unreadable"),
        ("another mixer", "weights.mismatch"),
        ("classes", "weights.class_count"),
    ],
)
def test_bad_files_are_told_in_one_sentence_without_a_path(tmp_path: Path, kind: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        load_model(write_bad(tmp_path, kind))
    assert caught.value.code == code
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("lsnet_q", "weights.unknown"),
        ("untrained/resnet18", "weights.unknown"),
        ("bundled/../../secret", "weights.not_bundled"),
        ("lsnet_t", "weights.no_network"),  # the tests run with the Hub switched off
    ],
)
def test_bad_names_are_told(source: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        load_model(source)
    assert caught.value.code == code


def test_the_default_is_bundled_or_says_that_it_is_untrained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, card = load_model("bundled")
    assert card.trained == (card.source == "bundled/lsnet_t")
    monkeypatch.setattr(weights, "BUNDLED_DIR", tmp_path)
    _, card = load_model("bundled")
    assert not card.trained
    assert "untrained" in weights.weights_label(card)


def test_bundled_weights_are_found_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: torch.nn.Module
) -> None:
    monkeypatch.setattr(weights, "BUNDLED_DIR", tmp_path)
    for name in ("b", "lsnet_t", "a"):
        save_weights(tmp_path / f"{name}.safetensors", small, CARD)
    assert weights.bundled_names() == ["lsnet_t", "a", "b"]
    assert load_model("bundled/a")[1].source == "bundled/a"
    assert load_model("bundled")[1].source == "bundled/lsnet_t"


def test_weights_from_the_hub_use_the_local_cache_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = timm.create_model("lsnet_t").eval()
    torch.save({"model": model.state_dict()}, tmp_path / "pytorch_model.bin")
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda *args: asked.append(args) or str(tmp_path / args[1])
    )
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *args: pytest.fail("the network was asked"))
    loaded, card = load_model("lsnet_t")
    assert asked == [("jameslahm/lsnet_t", "pytorch_model.bin")]
    assert card.source == "jameslahm/lsnet_t"
    assert same_logits(loaded, model)


def test_without_a_network_the_hubs_client_is_not_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> None:
        raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", no_network)
    monkeypatch.setattr("lsnet.weights.getproxies", dict)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *args: pytest.fail("it would try for long"))
    with pytest.raises(InputError) as told:
        load_model("lsnet_t")
    assert told.value.code == "weights.no_network"


def test_untrained_weights_are_the_same_everywhere_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, card = load_model("untrained/lsnet_n")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second, _ = load_model("untrained/lsnet_n")
    assert same_logits(first, second)
    assert not card.trained


def test_predictor_predicts_and_says_what_its_classes_are(tiny_predictor: lsnet.Predictor, photo) -> None:  # type: ignore[no-untyped-def]
    logits = tiny_predictor.logits(photo)
    assert logits.shape == (1000,)
    with torch.no_grad():
        assert torch.equal(logits, tiny_predictor.model(tiny_predictor.preprocess(photo)[None])[0])
    assert tiny_predictor.classes[0].id == "n01440764"
    assert tiny_predictor.classes[0].en.startswith("tench")
    assert tiny_predictor.framed(size=448, mode="whole").preprocess.size == 448
    assert tiny_predictor.preprocess.size == 224


def test_a_device_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError) as caught:
        lsnet.load_predictor("untrained/lsnet_n", device="cuda:99")
    assert caught.value.code == "device.unavailable"
