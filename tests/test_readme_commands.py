"""Every command under "The paper's experiments" in the README runs, in its order, on its own toy set."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.marks import needs_corruptions

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## The paper's experiments")[1].split("\n## ")[0]
COMMANDS = [line.split("  #")[0].strip() for line in SECTION.splitlines() if line.startswith("python -m ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are typed, one after the other."""
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "runs").mkdir()
    return folder


def test_every_table_has_its_command() -> None:
    assert re.findall(r"table (\d)", SECTION.split("```sh")[1].split("```")[0])[:2] == ["1", "4"]
    assert {match for command in COMMANDS for match in re.findall(r"ablations train (\d)", command)} == set("56789")


@pytest.mark.parametrize(
    "command", [pytest.param(c, marks=needs_corruptions if "--corruptions" in c else ()) for c in COMMANDS]
)
def test_it_runs(command: str, folder: Path) -> None:
    words = shlex.split(command)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    if "--output" in words:
        assert (folder / words[words.index("--output") + 1]).exists()
