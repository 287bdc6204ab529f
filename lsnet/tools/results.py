"""Rows of results that say what they are about and how they came about, in a CSV and a JSON file."""

import csv
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from lsnet.errors import InputError
from lsnet.tools.timing import machine
from lsnet.tools.writing import write_in_one_step

PACKAGES = ("torch", "timm", "numpy", "pillow")  # that decide what comes out


def origin(command: str, *packages: str) -> dict[str, Any]:
    """How results came about: the command, the versions of :data:`PACKAGES` and of further ones, the machine."""
    versions = {name: importlib.metadata.version(name) for name in (*PACKAGES, *packages)}
    return {"command": command, "versions": versions, "machine": machine()}


def origin_columns(how: Mapping[str, Any]) -> dict[str, str]:
    """:func:`origin` as columns of a CSV."""
    versions = ", ".join(f"{name} {version}" for name, version in how["versions"].items())
    return {"versions": versions, "command": how["command"]}


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], alike: Mapping[str, Any]) -> None:
    """Rows, at least one, with columns that are alike in all of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], *alike])
        writer.writeheader()
        writer.writerows({**row, **alike} for row in rows)


def weights_digest(model: nn.Module) -> str:
    """What tells networks apart: the first twelve digits of the SHA-256 of all names and tensors."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def text_digest(text: str) -> str:
    """The first twelve digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class KeptRows:
    """Rows as they are measured; whoever was interrupted goes on with those that there are.

    Args:
        path: of the CSV; the JSON lies beside it.
        subject: what is measured and how, JSON-able; results about another subject are not continued.
        how: see :func:`origin`.
        alike: further columns of the CSV, the same in all rows.

    Raises:
        InputError: there are results about another subject.
    """

    def __init__(
        self, path: Path, subject: Mapping[str, Any], how: Mapping[str, Any], alike: Mapping[str, Any] | None = None
    ) -> None:
        self.path, self.subject, self.how = path, json.loads(json.dumps(subject)), dict(how)
        self.alike = {**(alike or {}), **origin_columns(how)}
        self.rows: list[dict[str, Any]] = []
        if not self._json.exists():
            return
        written = json.loads(self._json.read_text(encoding="utf-8"))
        different = [key for key, value in self.subject.items() if written["subject"].get(key) != value]
        if different:
            raise self.other_results(f"another {' and '.join(different)}")
        self.rows = written["rows"]

    @property
    def _json(self) -> Path:
        return self.path.with_suffix(".json")

    def other_results(self, what: str) -> InputError:
        """The error that says of what there are results."""
        name = self.path.parent.name or self.path.name
        return InputError("data.other_results", f"{name!r} holds results of {what}: give another --output", folder=name)

    def add(self, rows: Iterable[Mapping[str, Any]], **told: Any) -> None:
        """Append rows and write both files anew; ``told`` goes into the JSON alone."""
        self.rows += map(dict, rows)
        content = {**self.how, "subject": self.subject, **told, "rows": self.rows}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_in_one_step(self._json, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        write_csv(self.path, self.rows, self.alike)
