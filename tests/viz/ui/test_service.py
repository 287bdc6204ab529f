"""What visitors share: bounded memory, files that go with it, and errors that leave everything in place."""

import os
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from lsnet import InputError, Predictor
from lsnet.weights import save_weights
from viz.examples import examples
from viz.payload import MAX_BYTES
from viz.texts import texts_in
from viz.ui import folders, kept, networks, service, wording
from viz.ui.config import AppConfig, parse_arguments
from viz.ui.kept import Kept
from viz.ui.service import Explorer
from viz.views import VIEWS

MODEL = "untrained/lsnet_n"
PHOTO = examples()[0]


@pytest.fixture
def explorer() -> Explorer:
    return Explorer(AppConfig(device="cpu", model=MODEL, threads=1))


def test_kept_forgets_what_was_not_used_for_longest() -> None:
    kept: Kept[int] = Kept(2)
    assert kept.put("a", 1) == []
    kept.put("b", 2)
    assert kept.get("a") == 1  # used again, so b is the oldest now
    assert kept.put("c", 3) == ["b"]
    assert kept.get("b") is None
    kept.drop("a")
    kept.drop("a")  # twice is no error
    assert kept.get("a") is None


def test_kept_has_room_for_many_light_values_or_few_heavy_ones() -> None:
    kept: Kept[int] = Kept(10, weigh=lambda value: value)
    assert kept.put("a", 4) == kept.put("b", 3) == kept.put("c", 3) == []
    assert kept.put("d", 6) == ["a", "b"]  # 4 + 3 + 3 + 6 is 6 too much
    assert kept.put("e", 50) == ["c", "d"]
    assert kept.get("e") == 50  # alone too heavy, but it was asked for last


def test_an_analysis_is_kept_with_its_files_until_forgotten(explorer: Explorer) -> None:
    key = explorer.analyse(PHOTO.path, MODEL, 96, "crop", PHOTO)
    assert explorer.folders.payload(key).is_file()
    assert explorer.analysis(key).name == f"assets/examples/{PHOTO.path.name}"
    explorer.forget(key)
    assert not explorer.folders.of(key).exists()
    with pytest.raises(InputError) as caught:
        explorer.analysis(key)
    assert caught.value.code == "session.expired"


def test_forgetting_what_never_was_does_nothing(explorer: Explorer) -> None:
    key = explorer.analyse(PHOTO.path, MODEL, 64, "crop")
    for unknown in ("", ".", "..", "never"):
        explorer.forget(unknown)
    assert explorer.folders.payload(key).exists()
    explorer.forget(key)


def test_what_a_visitor_has_left_goes_with_the_next_sweep(explorer: Explorer) -> None:
    key = explorer.analyse(PHOTO.path, MODEL, 64, "crop")
    explorer.forget_soon(key)
    assert explorer.find(key) is not None
    explorer.sweep()
    assert explorer.find(key) is None
    assert not explorer.folders.of(key).exists()


def test_the_memory_is_bounded_on_disk_too(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "_analyses", Kept(2))
    keys = [explorer.analyse(PHOTO.path, MODEL, 64, "crop") for _ in range(4)]
    assert [explorer.find(key) is not None for key in keys] == [False, False, True, True]
    assert sorted(folder.name for folder in explorer.folders.served.iterdir()) == sorted(keys[2:])


def test_keys_cannot_be_guessed(explorer: Explorer) -> None:
    keys = {explorer.analyse(PHOTO.path, MODEL, 64, "crop") for _ in range(3)}
    assert len(keys) == 3
    assert all(len(key) >= 20 for key in keys)


def test_a_visitors_own_picture_is_called_photo_in_python_lines(explorer: Explorer, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "secret name.png")
    key = explorer.analyse(tmp_path / "secret name.png", MODEL, 64, "whole")
    assert explorer.analysis(key).name == "photo.jpg"
    assert b"secret" not in explorer.folders.payload(key).read_bytes()


def test_a_visitors_picture_is_kept_in_private_and_goes_with_its_analysis(explorer: Explorer, tmp_path: Path) -> None:
    upload = tmp_path / "secret name.png"
    Image.new("RGB", (64, 64), "red").save(upload)
    first = explorer.analyse(upload, MODEL, 64, "whole")
    upload.unlink()  # as the sweep of uploads does
    again = explorer.analyse_again(first, MODEL, 96, "whole")
    copies = [Path(str(explorer.analysis(key).picture)) for key in (first, again)]
    assert all(copy.is_file() and "secret" not in str(copy) for copy in copies)
    assert not any(copy.is_relative_to(explorer.folders.served) for copy in copies)  # that folder is served
    explorer.forget(first)
    assert [copy.exists() for copy in copies] == [False, True]  # the later analysis still has its own


def test_a_payload_that_is_too_large_is_made_smaller_where_the_page_shows_it(explorer: Explorer) -> None:
    wide = Image.open(PHOTO.path).convert("RGB").resize((800, 450))
    key = explorer.analyse(wide, "untrained/lsnet_b", 448, "whole")
    shown = explorer.analysis(key)
    # At 448 it takes 14 MB, and its arrays grow with the area: sqrt(8 / 14) · 448 = 339, of which 320 are whole tokens.
    assert (shown.size, shown.asked, min(shown.trace.geometry.frame.size)) == (320, 448, 320)
    assert explorer.folders.payload(key).stat().st_size <= MAX_BYTES
    assert "320 pixels" in wording.notice(shown, texts_in("en"))


def test_a_program_gets_the_size_that_it_asks_for(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_BYTES", 1)
    exact = explorer.analysis(explorer.analyse(PHOTO.path, MODEL, 320, "crop", exact=True))
    fitted = explorer.analysis(explorer.analyse(PHOTO.path, MODEL, 320, "crop"))
    assert (exact.size, exact.asked) == (320, 320)
    assert (fitted.size, fitted.asked) == (service.SIZES[0], 320)  # smaller it never gets
    assert "pixels of the shorter side" not in wording.notice(exact, texts_in("en"))


def test_what_lies_idle_is_swept_away(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "UNUSED_SECONDS", 100)
    now = 1000.0
    monkeypatch.setattr(kept.time, "monotonic", lambda: now)
    example = explorer.analyse_example(PHOTO, MODEL, 224, "crop")  # kept for good
    idle, used = (explorer.analyse(PHOTO.path, MODEL, 64, "crop") for _ in range(2))
    now += 90
    explorer.analysis(used)
    now += 20
    explorer.sweep()
    assert [explorer.find(key) is not None for key in (example, idle, used)] == [True, False, True]
    assert [explorer.folders.payload(key).exists() for key in (example, idle, used)] == [True, False, True]


def test_uploads_are_swept_away_by_age(explorer: Explorer) -> None:
    old, new = explorer.folders.uploads / "a" / "old.png", explorer.folders.uploads / "b" / "new.png"
    for path in (old, new, explorer.folders.uploads / "half"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"picture")
    long_ago = time.time() - folders.UPLOAD_SECONDS - 60
    for path in (old, old.parent, explorer.folders.uploads / "half"):
        os.utime(path, (long_ago, long_ago))
    explorer.sweep()
    assert {path.name for path in explorer.folders.uploads.rglob("*") if path.is_file()} == {"new.png"}
    assert not explorer.folders.uploads.is_relative_to(explorer.folders.served)  # that folder is served


def test_results_of_each_place_are_taken_home_from_a_folder_of_their_own(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer, "_homes", Kept(2))
    view = VIEWS[0]
    key = explorer.analyse(PHOTO.path, MODEL, 64, "crop")
    block = next(block for block in explorer.analysis(key).trace.blocks.values() if block.kind == "ls")
    homes = [explorer.home(key, view, explorer.subject(key, block.name, (0, column)), {}) for column in range(3)]
    assert len(set(homes)) == 3
    assert all(home.parent == explorer.folders.of(key) for home in homes)
    assert homes[2] == explorer.home(key, view, explorer.subject(key, block.name, (0, 2)), {})
    assert [home.is_dir() for home in homes] == [False, True, True]  # as many as are kept
    explorer.forget(key)
    assert not any(home.exists() for home in homes)
    assert explorer._homes.under(key) == []


def test_the_same_picture_again_through_other_settings(explorer: Explorer) -> None:
    key = explorer.analyse(PHOTO.path, MODEL, 64, "crop", PHOTO)
    again = explorer.analysis(explorer.analyse_again(key, MODEL, 96, "whole"))
    assert (again.size, again.mode, again.example) == (96, "whole", PHOTO)
    assert min(again.trace.geometry.frame.size) == 96


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((None, MODEL, 224, "crop"), "image.none"),
        ((PHOTO.path, "/etc/passwd", 224, "crop"), "input.model"),
        ((PHOTO.path, "untrained/../x", 224, "crop"), "input.model"),
        ((PHOTO.path, "lsnet_t?/../../../etc/passwd", 224, "crop"), "input.model"),
        ((PHOTO.path, "bundled/lsnet_t?x", 224, "crop"), "input.model"),
        ((PHOTO.path, f"{MODEL}?{'&' * 1000}", 224, "crop"), "input.model"),
        ((PHOTO.path, f"{MODEL}?nothing=1", 224, "crop"), "variant.option"),
        ((PHOTO.path, MODEL, 31, "crop"), "input.size"),
        ((PHOTO.path, MODEL, 10_000, "crop"), "input.size"),
        ((PHOTO.path, MODEL, True, "crop"), "input.size"),
        ((PHOTO.path, MODEL, 224, "stretch"), "input.mode"),
        ((PHOTO.path, "lsnet_b", 224, "crop"), "weights.no_network"),
        (("nowhere.jpg", MODEL, 224, "crop"), "image.not_found"),
    ],
)
def test_bad_requests_are_told_and_cost_nothing(explorer: Explorer, arguments: tuple, code: str) -> None:  # type: ignore[type-arg]
    before = explorer.analyse(PHOTO.path, MODEL, 64, "crop")
    with pytest.raises(InputError) as caught:
        explorer.analyse(*arguments)
    assert caught.value.code == code
    assert explorer.find(before) is not None


def test_a_network_has_one_name_however_it_is_written_and_refused_names_are_not_kept(explorer: Explorer) -> None:
    written = [f"{MODEL}?kernel_large=5&ska=false", f"{MODEL}?ska=false&&kernel_large=5&kernel_small=3"]
    assert explorer.networks.predictor(written[0]) is explorer.networks.predictor(written[1])
    before = dict(explorer.networks._loading)
    for number in range(3):
        for name in (f"nothing{number}", f"{MODEL}?mixer={number}"):
            with pytest.raises(InputError):
                explorer.networks.predictor(name)
    assert explorer.networks._loading == before


def test_an_analysis_that_fails_halfway_leaves_nothing(
    explorer: Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = tmp_path / "upload.png"
    Image.new("RGB", (64, 64), "red").save(upload)
    before = {path.name for path in explorer.folders.served.iterdir()}

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match="no space"):
        explorer.analyse(upload, MODEL, 64, "whole")
    assert {path.name for path in explorer.folders.served.iterdir()} == before


def test_a_large_picture_is_decoded_once_for_all_who_look_at_it(explorer: Explorer) -> None:
    key = explorer.analyse(PHOTO.path, MODEL, 64, "crop")
    assert explorer.picture(key) is explorer.picture(key)
    block = next(iter(explorer.analysis(key).trace.blocks))
    assert explorer.subject(key, block, (0, 0)).picture is explorer.picture(key)


def test_too_many_uploads_make_room_the_oldest_first(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "UPLOAD_BYTES", 25)
    for age, name in enumerate(("newest", "newer", "old")):
        path = explorer.folders.uploads / name
        path.write_bytes(b"0123456789")
        os.utime(path, (time.time() - age, time.time() - age))
    explorer.sweep()
    assert {path.name for path in explorer.folders.uploads.iterdir()} == {"newest", "newer"}


def test_a_weights_file_is_offered_without_its_path(tmp_path: Path) -> None:
    opened = Explorer(AppConfig(device="cpu", model=MODEL, threads=1))
    predictor = opened.networks.predictor(MODEL)
    save_weights(tmp_path / "mine.safetensors", predictor.model, predictor.card)
    explorer = Explorer(AppConfig(device="cpu", weights=tmp_path / "mine.safetensors", threads=1))
    assert explorer.networks.opening == "file/mine.safetensors"
    assert explorer.networks.sources[0] == "file/mine.safetensors"
    key = explorer.analyse(PHOTO.path, explorer.networks.opening, 64, "crop", PHOTO)
    assert explorer.analysis(key).weights == "mine.safetensors"  # in Python lines
    assert not any(str(tmp_path) in source for source in explorer.networks.sources)
    explorer.networks._predictors.drop(explorer.networks.opening)
    again = explorer.networks.predictor("file/mine.safetensors")  # loaded again from the file
    assert again.card.architecture == "lsnet_n"


def test_few_networks_are_kept_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = Explorer(AppConfig(device="cpu", model=MODEL, threads=1))
    monkeypatch.setattr(explorer.networks, "_predictors", Kept(1))
    first = explorer.networks.predictor(MODEL)
    assert explorer.networks.predictor(MODEL) is first
    explorer.networks.predictor("untrained/lsnet_t")
    assert explorer.networks.predictor(MODEL) is not first


def test_a_network_that_takes_long_to_come_holds_up_no_other(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive, asked, load = threading.Event(), threading.Event(), networks.load_predictor

    def load_slowly(source: str, device: str | None) -> Predictor:
        if source == "untrained/lsnet_t":
            asked.set()
            arrive.wait(60)
        return load(source, device)

    monkeypatch.setattr(networks, "load_predictor", load_slowly)
    slow = threading.Thread(target=explorer.networks.predictor, args=("untrained/lsnet_t",))
    slow.start()
    assert asked.wait(60)
    assert explorer.networks.predictor(MODEL).card.architecture == "lsnet_n"
    assert slow.is_alive()
    arrive.set()
    slow.join(60)


def test_threads_are_measured_or_taken_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    Explorer(AppConfig(device="cpu", model=MODEL, threads=1))
    assert set_to == [1]
    Explorer(AppConfig(device="cpu", model=MODEL))
    assert set_to[-1] in (1, 2)
    assert set_to[1:3] == [1, 2]  # both were tried


def test_the_command_line() -> None:
    assert parse_arguments([]) == AppConfig()
    arguments = "--device cpu --host 0.0.0.0 --port 80 --model untrained/lsnet_b --weights w.pth --threads 2 --share"
    assert parse_arguments(arguments.split()) == AppConfig(
        "cpu", "0.0.0.0", 80, "untrained/lsnet_b", Path("w.pth"), 2, True
    )


def test_what_the_page_offers_it_also_accepts() -> None:
    assert max(service.SIZES) <= service.MAX_SIZE
