"""Numbers of a result as files, read back by others."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from viz.results import Array, Place, Result
from viz.results.files import write_csv, write_npz


@dataclass(frozen=True)
class Answer(Result):
    table: Array
    total: float


ANSWER = Answer(
    Place("blocks2.3", 16, (1, 2), "lsnet_t · untrained"), np.array([[1.5, -2], [0, 4]], dtype=np.float32), 3.5
)


def test_npz_holds_every_array_and_the_place(tmp_path: Path) -> None:
    write_npz(tmp_path / "answer.npz", ANSWER)
    with np.load(tmp_path / "answer.npz", allow_pickle=False) as stored:
        assert set(stored) == {"table", "total", "place"}
        np.testing.assert_array_equal(stored["table"], ANSWER.table)
        assert stored["total"] == 3.5
        assert str(stored["place"]) == "blocks2.3, stride 16 px, token row 1, column 2 · lsnet_t · untrained"


def test_csv_has_one_line_per_number_with_its_indices(tmp_path: Path) -> None:
    write_csv(tmp_path / "answer.csv", ANSWER)
    with (tmp_path / "answer.csv").open(encoding="utf-8", newline="") as file:
        assert file.readline() == "# blocks2.3, stride 16 px, token row 1, column 2 · lsnet_t · untrained\r\n"
        header, *lines = csv.reader(file)
    assert header == ["array", "index_0", "index_1", "value"]
    assert ["table", "0", "1", "-2.0"] in lines
    assert ["total", "", "", "3.5"] in lines
    assert len(lines) == 5
