"""The rule of floors: who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the ground up; a file may import from its own floor and those below it.
FLOORS = (
    (
        "viz/images.py",
        "viz/theme.py",
        "viz/texts.py",
        "viz/examples.py",
        "viz/components.py",
        "viz/progress.py",
        "viz/paper.py",
        "viz/lesson_file.py",
        "viz/lessons.py",
        "viz/space.py",
        "viz/bundle.py",
        "viz/caveats.py",
        "viz/lesson_html.py",
        "viz/math_font.py",
    ),
    ("viz/trace.py",),
    ("viz/capture.py", "viz/payload.py", "viz/benchmark.py", "viz/quantities.py"),
    ("viz/standalone", "viz/worksheets.py"),
    ("viz/subject.py", "viz/results"),
    ("viz/analysis",),
    ("viz/figures",),
    ("viz/views",),
    ("viz/ui",),
)


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(path: Path, package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in imported(path))


def floor(module: str) -> int | None:
    place = module.replace(".", "/")
    for number, members in enumerate(FLOORS):
        for member in members:
            stem = member.removesuffix(".py")
            if place == stem or place.startswith(f"{stem}/"):
                return number
    return None


def test_every_file_of_viz_lives_on_a_floor() -> None:
    homeless = [p for p in sources("viz") if p.name != "__init__.py" and floor(str(p.relative_to(ROOT))[:-3]) is None]
    assert homeless == []


@pytest.mark.parametrize("path", sources("viz"), ids=lambda p: str(p.relative_to(ROOT)))
def test_viz_imports_downwards_only(path: Path) -> None:
    own = floor(str(path.relative_to(ROOT)).removesuffix(".py").removesuffix("/__init__"))
    above = [m for m in imported(path) if m.startswith("viz.") and (floor(m) or 0) > (own if own is not None else 99)]
    assert above == []


@pytest.mark.parametrize("path", sources("lsnet"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_model_knows_nothing_of_the_page(path: Path) -> None:
    assert not any(imports(path, package) for package in ("viz", "gradio", "plotly"))


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("gradio", ("viz/ui/", "app.py", "tests/")),
        ("triton", ("lsnet/ops/ska_triton.py", "tests/")),
        ("numba", ("lsnet/ops/ska_numba.py", "tests/")),
        ("plotly", ("viz/figures/", "viz/views/", "tests/")),
    ],
)
def test_only_its_own_floor_imports_a_package(package: str, allowed: tuple[str, ...]) -> None:
    importers = [str(p.relative_to(ROOT)) for p in [*sources("lsnet", "viz"), ROOT / "app.py"] if imports(p, package)]
    assert importers  # a check of nothing would pass for ever
    assert [name for name in importers if not name.startswith(allowed)] == []


def test_figures_do_not_import_torch() -> None:
    assert [p.name for p in sources("viz/figures") if imports(p, "torch")] == []


def test_nothing_but_tests_and_training_notes_speaks_of_the_workplace() -> None:
    words = ("../shared", "/work/")
    texts = [*sources("lsnet", "viz"), ROOT / "app.py", *ROOT.glob("*.md"), *(ROOT / "assets").rglob("*.js")]
    assert [str(p) for p in texts if any(word in p.read_text(encoding="utf-8") for word in words)] == []
