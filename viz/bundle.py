"""JavaScript modules as one script, for pages that cannot load modules by themselves."""

import re
from functools import cache
from pathlib import Path

_IMPORT = re.compile(r'^import\s+(?:\{[^}]*\}|\* as \w+)\s+from\s+"(\.{1,2}/[\w./]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)
_TOP_LEVEL = re.compile(r"^(?:async )?(?:function\*?|class|const|let)\s+(\w+)", re.MULTILINE)


@cache
def bundle(entry: Path) -> str:
    """Join an ES module and all that it imports into one script, in order of dependency.

    Modules import by name from files beside them or in a folder nearby, and export declarations. Joined, they share one
    scope, so a name may be declared at top level in one module only.

    Raises:
        ValueError: modules import each other in a circle, or declare the same name.
    """
    done: dict[str, str] = {}
    _add(entry, done, ())
    owners: dict[str, str] = {}
    for name, code in done.items():
        for declared in _TOP_LEVEL.findall(code):
            if declared in owners:
                raise ValueError(f"expected one declaration of {declared}, got them in {owners[declared]} and {name}")
            owners[declared] = name
    return "\n".join(f"// {name}\n{code}" for name, code in done.items())


def _add(path: Path, done: dict[str, str], waiting: tuple[str, ...]) -> None:
    if path.name in waiting:
        raise ValueError(f"expected no circle of imports, got {' → '.join((*waiting, path.name))}")
    if path.name in done:
        return
    code = path.read_text(encoding="utf-8")
    for imported in _IMPORT.findall(code):
        _add((path.parent / imported).resolve(), done, (*waiting, path.name))
    done[path.name] = _EXPORT.sub("", _IMPORT.sub("", code))
