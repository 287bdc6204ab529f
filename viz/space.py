"""The folder that is pushed to a Hugging Face Space: ``python -m viz.space OUT``.

A Space runs ``app.py`` of the folder that it is given, after ``pip install -r requirements.txt``. So the folder holds
the app with its weights, photos and texts, and nothing that only developers need. Its README begins with the settings
that the Space is made with; the repository's own README stays free of them.

Source: https://huggingface.co/docs/hub/spaces-config-reference
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from lsnet.registry import HUB_REPOSITORIES

ROOT = Path(__file__).resolve().parent.parent

# What the app runs from. Of the assets, everything but pictures of the README, records of speed, recipes and notebooks.
FILES = ("app.py", "LICENSE")
FOLDERS = ("lsnet", "viz", "assets")
LEFT_OUT = ("__pycache__", "*.pyc", "*.part", "*.ipynb", "readme", "benchmarks", "recipes")

PYTHON = "3.11"  # 3.12 and 3.13 do as well; ZeroGPU takes few versions, which its documentation lists
# What wheels ask of the system: OpenCV, which makes the corruptions, draws with these even where nothing is shown.
PACKAGES = ("libgl1", "libglib2.0-0")

# Without this line, pip fetches torch with three gigabytes of CUDA libraries, which the free hardware cannot use.
CPU_WHEELS = """\
# The free hardware has no GPU: take torch from its index of CPU builds.
--extra-index-url https://download.pytorch.org/whl/cpu
"""

# The Hub takes large files, and small ones that are no text, through Git LFS (or Xet, which reads the same lines) only.
BINARY = ("safetensors", "jpg", "woff2")
ATTRIBUTES = "".join(f"*.{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in BINARY)

README = """\
# LSNet Explorer

See inside [LSNet](https://arxiv.org/abs/2503.23135) (CVPR 2025): move the mouse over a picture, and see the kernels
that the network made for that very place, the window it made them from, and the sum they compute.
In English and 简体中文.

Pictures that you upload are analysed on this Space's server, shown to nobody else, and deleted within an hour after you
close the page, after two hours without use at the latest.
"""


def front_matter(python: str = PYTHON) -> dict[str, str | bool | list[str]]:
    """The settings of the Space, by name."""
    return {
        "title": "LSNet Explorer",
        "emoji": "🔭",
        "colorFrom": "indigo",
        "colorTo": "yellow",
        "sdk": "gradio",
        "sdk_version": version("gradio"),  # the one that this folder was made and tested with
        "python_version": python,
        "app_file": "app.py",
        "license": "apache-2.0",
        "short_description": "See the dynamic kernels LSNet makes for every pixel",
        "models": list(HUB_REPOSITORIES.values()),
        "tags": ["computer-vision", "image-classification", "interpretability", "education", "lsnet"],
        "pinned": False,
    }


def write_space(target: Path, gpu: bool = False, python: str = PYTHON) -> None:
    """Write the folder.

    Args:
        target: where; it is made, and must be empty if it is there.
        gpu: whether it is for hardware with a GPU, which needs another build of torch.
        python: the version that the Space runs.

    Raises:
        FileExistsError: the folder has something in it, which would be pushed along.
    """
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"expected an empty folder, got {target} with something in it")
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy2(ROOT / name, target / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (target / "requirements.txt").write_text(requirements if gpu else CPU_WHEELS + requirements, encoding="utf-8")
    (target / "packages.txt").write_text("".join(f"{name}\n" for name in PACKAGES), encoding="utf-8")
    (target / ".gitattributes").write_text(ATTRIBUTES, encoding="utf-8")
    (target / "README.md").write_text(f"---\n{_yaml(front_matter(python))}---\n\n{README}", encoding="utf-8")


def _yaml(settings: Mapping[str, str | bool | list[str]]) -> str:
    """Settings as YAML. A JSON value is a YAML value, so nothing needs quoting rules of its own."""
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in settings.items())


def main() -> None:
    """Write the folder that is pushed to a Space."""
    parser = argparse.ArgumentParser(prog="python -m viz.space", description=main.__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write; must be empty or not there yet")
    parser.add_argument("--gpu", action="store_true", help="for hardware with a GPU, or ZeroGPU, which lends one")
    parser.add_argument("--python", default=PYTHON, metavar="VERSION", help=f"that it runs; {PYTHON} unless told")
    given = parser.parse_args()
    out = given.out
    try:
        write_space(out, given.gpu, given.python)
    except FileExistsError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {out} cannot be written to: {error.strerror or error}")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
