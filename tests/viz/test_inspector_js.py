"""The inspector's JavaScript: its own tests under node, and the bundle that the page gets."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from viz.ui.inspector import ASSETS, ENTRY, bundle

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def node(*arguments: str) -> str:
    result = subprocess.run([NODE or "node", *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@needs_node
def test_modules_pass_their_own_tests() -> None:
    tests = sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.test.mjs"))
    assert tests
    assert re.search(r"# fail 0\b", node("--test", *tests))


@needs_node
def test_the_bundle_is_one_valid_function_body(tmp_path: Path) -> None:
    script = tmp_path / "bundle.cjs"
    script.write_text(f"'use strict'; (element) => {{\n{bundle(ASSETS / ENTRY)}\n}}", encoding="utf-8")
    node("--check", str(script))


@needs_node
def test_numpy_reads_the_npz(tmp_path: Path) -> None:
    path = tmp_path / "kernels.npz"
    node(
        "--input-type=module",
        "--eval",
        "import { npzFile } from './assets/inspector/npz.js'; import { writeFileSync } from 'node:fs';"
        "const values = Float32Array.from({ length: 12 }, (_, i) => i / 4);"
        f"writeFileSync({str(path)!r}, npzFile({{ 'blocks2.3/kernels': {{ shape: [3, 2, 2], values }} }}));",
    )
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["blocks2.3/kernels"], np.arange(12, dtype=np.float32).reshape(3, 2, 2) / 4)


def test_every_module_is_bundled_once_and_without_module_syntax() -> None:
    code = bundle(ASSETS / ENTRY)
    for path in ASSETS.glob("*.js"):
        assert code.count(f"// {path.name}\n") == 1
    assert not re.search(r"^(import|export)\b", code, re.MULTILINE)
    assert code.index("// geometry.js") < code.index("// equation.js") < code.index(f"// {ENTRY}")


def test_what_is_imported_is_used_and_what_is_exported_is_imported() -> None:
    modules = {path: path.read_text(encoding="utf-8") for path in ASSETS.glob("*.js")}
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "js").glob("*.mjs")]
    imports = re.compile(r"^import \{([^}]*)\}", re.MULTILINE)
    imported = {
        text: {name.strip() for names in imports.findall(text) for name in names.split(",") if name.strip()}
        for text in [*modules.values(), *tests]
    }
    everywhere = set().union(*imported.values())
    for path, code in modules.items():
        unused = [name for name in imported[code] if len(re.findall(rf"\b{name}\b", code)) < 2]
        assert unused == [], path.name
        exported = re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", code, re.MULTILINE)
        own = {name for name in exported if len(re.findall(rf"\b{name}\b", code)) > 1}
        assert set(exported) - everywhere - own - {"startInspector"} == set(), path.name


def test_a_name_in_two_modules_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nfunction twice() {}\n')
    (tmp_path / "b.js").write_text("export function b() {}\nconst twice = 1;\n")
    with pytest.raises(ValueError, match="one declaration of twice"):
        bundle(tmp_path / "a.js")


def test_a_circle_of_imports_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nexport const a = 1;\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport const b = 1;\n')
    with pytest.raises(ValueError, match=r"a\.js → b\.js → a\.js"):
        bundle(tmp_path / "a.js")


def test_no_colour_and_no_visitor_text_bypasses_its_place() -> None:
    for path in ASSETS.glob("*.js"):
        code = path.read_text(encoding="utf-8")
        assert "innerHTML" not in code, path.name
        assert "insertAdjacentHTML" not in code, path.name
        assert not re.search(r"#[0-9a-fA-F]{6}\b|rgba?\(\d", code), f"a colour that is not in viz/theme.py: {path.name}"
    words = re.sub(r"<[^>]*>", " ", (ASSETS / "inspector.html").read_text(encoding="utf-8"))
    assert set(words.split()) <= {"⊙", "=", "·"}  # everything else comes from the texts
