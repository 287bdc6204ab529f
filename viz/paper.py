"""The paper's own tables of results, as printed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

PAPER_FILE = Path(__file__).resolve().parent.parent / "assets" / "paper_tables.json"


@dataclass(frozen=True)
class PaperTable:
    """One table.

    Attributes:
        number: 1 to 9.
        caption: as printed, without its references.
        columns: keys of the columns; the first is ``"model"``.
        cost: the column that says what a model costs.
        scores: the columns that say how good it is, the most important first.
        input: side of the square input in pixels at which cost was counted.
        ours: names of the rows that are LSNet, or have LS convolution.
        rows: names of models, and the numbers of all other columns; None where the table prints none.
        epochs: length of the training, where the paper states it for this table.
        released: other numbers for the same models in the authors' repository, by row name and column.
    """

    number: int
    caption: str
    columns: tuple[str, ...]
    cost: str
    scores: tuple[str, ...]
    input: int
    ours: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    epochs: int | None = None
    released: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the rows."""
        return tuple(model for model, _ in self.rows)

    def column(self, name: str) -> tuple[float | None, ...]:
        """The numbers of a column, row by row.

        Raises:
            ValueError: there is no such column of numbers.
        """
        index = self.columns[1:].index(name)
        return tuple(values[index] for _, values in self.rows)


@dataclass(frozen=True)
class Paper:
    """A paper's tables.

    Attributes:
        source: authors, title, place and year.
        tables: by number.
    """

    source: str
    tables: Mapping[int, PaperTable]


@cache
def lsnet_paper() -> Paper:
    """The tables of "LSNet: See Large, Focus Small"."""
    stored = json.loads(PAPER_FILE.read_text(encoding="utf-8"))
    tables = [
        PaperTable(
            **table
            | {name: tuple(table[name]) for name in ("columns", "scores", "ours")}
            | {"rows": tuple((model, tuple(values)) for model, *values in table["rows"])}
        )
        for table in stored["tables"]
    ]
    return Paper(stored["source"], MappingProxyType({table.number: table for table in tables}))
