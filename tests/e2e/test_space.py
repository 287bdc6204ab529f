"""The folder that is pushed to a Space, started from itself alone as a Space would."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.e2e.conftest import ROOT, free_port, running
from tests.e2e.hand import explorer, hover
from viz.space import write_space

NEEDED = [
    "app.py",
    "LICENSE",
    "README.md",
    "requirements.txt",
    "packages.txt",
    ".gitattributes",
    "lsnet",
    "viz",
    "assets",
]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("space") / "app"
    write_space(folder)
    return folder


def front_matter(folder: Path) -> dict[str, Any]:
    """The settings at the head of a README."""
    _, head, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return {name: json.loads(value) for name, value in (line.split(": ", 1) for line in head.splitlines())}


def test_the_settings_are_those_that_the_hub_knows(space: Path) -> None:
    # https://huggingface.co/docs/hub/spaces-config-reference
    settings = front_matter(space)
    colours = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
    assert settings["colorFrom"] in colours
    assert settings["colorTo"] in colours
    assert len(settings["emoji"]) == 1
    assert len(settings["short_description"]) <= 60
    assert settings["sdk"] == "gradio"
    assert (space / settings["app_file"]).is_file()
    assert re.search(r"apache", (space / "LICENSE").read_text(), re.IGNORECASE)
    assert settings["license"] == "apache-2.0"
    assert settings["models"] == [f"jameslahm/lsnet_{v}{d}" for v in "tsb" for d in ("", "_distill")]
    assert not (ROOT / "README.md").read_text(encoding="utf-8").startswith("---")


def test_the_spaces_gradio_and_python_are_ones_that_this_was_tested_with(space: Path) -> None:
    settings = front_matter(space)
    wanted = {r.name: r for r in map(Requirement, requirements(space))}
    assert settings["sdk_version"] == version("gradio")
    assert wanted["gradio"].specifier.contains(settings["sdk_version"])
    assert settings["python_version"] == "3.11"
    needed = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert needed
    assert settings["python_version"] >= needed[1]


def requirements(folder: Path) -> list[str]:
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "--"))]


def test_it_installs_what_the_repository_does_with_torch_for_the_cpu(space: Path) -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert requirements(space) == [line for line in lines if line and not line.startswith("#")]
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in (space / "requirements.txt").read_text()


def test_hardware_with_a_gpu_gets_the_ordinary_torch_and_the_python_that_it_asks_for(tmp_path: Path) -> None:
    write_space(tmp_path / "app", gpu=True, python="3.12")
    assert "index-url" not in (tmp_path / "app" / "requirements.txt").read_text()
    assert front_matter(tmp_path / "app")["python_version"] == "3.12"


def test_what_is_no_text_goes_through_large_file_storage(space: Path) -> None:
    endings = set(re.findall(r"^\*(\.\w+) filter=lfs ", (space / ".gitattributes").read_text(), re.MULTILINE))
    binary = {path.suffix for path in space.rglob("*") if path.is_file() and b"\0" in path.read_bytes()[:4096]}
    assert binary == endings


def test_it_holds_the_app_and_nothing_for_developers(space: Path) -> None:
    assert sorted(path.name for path in space.iterdir()) == sorted(NEEDED)
    names = {str(path.relative_to(space)) for path in space.rglob("*") if path.is_file()}
    assert {"assets/weights/lsnet_t.safetensors", "assets/examples/LICENSES.md", "viz/space.py"} <= names
    assert [name for name in names if re.search(r"(^|/)(tests?|readme|benchmarks|recipes|__pycache__)/", name)] == []
    tracked = git_files()
    assert [name for name in names if name.startswith(("lsnet/", "viz/")) and name not in tracked] == [] or not tracked
    assert sum((space / name).stat().st_size for name in names) < 200e6  # a Space starts faster the less it holds


def git_files() -> set[str]:
    """Files that git knows or does not ignore; empty outside a checkout."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())
    except (OSError, subprocess.CalledProcessError):
        return set()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="expected an empty folder"):
        write_space(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# For each of its locks, Gradio makes an event loop that it never closes. Python says so where it happens to clear away
# a loop's sockets before the loop.
UNCLOSED = re.compile(
    r"^Exception ignored in: <function BaseEventLoop\.__del__ .*?^ValueError: Invalid file descriptor: -1$",
    re.MULTILINE | re.DOTALL,
)


@contextmanager
def started(folder: Path, home: Path) -> Iterator[str]:
    """The Space, as Hugging Face starts it: in its folder, which it cannot write to, with two cores and no network."""
    port, log = free_port(), home / "log"
    (home / "tmp").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "SYSTEM": "spaces",
        "SPACE_ID": "someone/lsnet-explorer",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": str(port),
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    cores = sorted(os.sched_getaffinity(0))[:2]
    options = {"env": environment, "preexec_fn": lambda: os.sched_setaffinity(0, cores)}
    with running(["app.py"], port, log, folder, **options):
        yield f"http://127.0.0.1:{port}/"


def written(folder: Path) -> dict[str, int]:
    """Every file, and when it was last written. What numba compiles goes to a cache beside it if it may."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


@pytest.mark.browser
def test_it_starts_clean_and_answers(space: Path, browser: Any, tmp_path: Path) -> None:
    for path in [space, *space.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before, foreign = written(space), []
    with started(space, tmp_path) as url:
        page = browser.new_page()
        page.set_default_timeout(240_000)
        page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith((url, "data:", "blob:")) else None)
        page.goto(url)
        page.wait_for_selector('.lsx[data-ready="true"]')
        assert page.locator("#notice").is_hidden()  # the weights are trained
        hover(page, 200, 120)
        assert explorer(page, "ready")
        assert explorer(page, "model").startswith("bundled/")
        page.locator("#plot-kernels .js-plotly-plot").wait_for()  # a view was computed
        page.get_by_text("the server of this Hugging Face Space").wait_for()
        page.close()
    assert foreign == []
    assert written(space) == before
    outside = {path.name for path in tmp_path.iterdir()}
    assert outside <= {"tmp", "log", ".cache", ".config", ".triton"}, outside
    log = UNCLOSED.sub("", (tmp_path / "log").read_text())
    assert re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception): .*", log, re.MULTILINE) == []
    for path in [space, *space.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)  # so that it can be cleaned away
