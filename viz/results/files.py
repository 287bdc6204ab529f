"""The numbers of a result as files."""

import csv
import os
from itertools import repeat
from pathlib import Path

import numpy as np

from viz.results.place import Result


def write_npz(path: str | os.PathLike[str], result: Result) -> None:
    """All arrays by name, and where they were measured (``place``)."""
    np.savez_compressed(path, allow_pickle=False, place=np.array(_place(result)), **result.arrays())


def write_csv(path: str | os.PathLike[str], result: Result) -> None:
    """All arrays in long form: one line per number, with the array's name and the number's indices."""
    arrays = result.arrays()
    deepest = max((array.ndim for array in arrays.values()), default=0)
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        file.write(f"# {_place(result)}\r\n")  # as it is: quoted, it would be no comment for whoever skips those
        writer.writerow(["array", *(f"index_{axis}" for axis in range(deepest)), "value"])
        for name, array in arrays.items():
            blanks = [repeat("")] * (deepest - array.ndim)
            indices = np.indices(array.shape).reshape(array.ndim, array.size).tolist()
            writer.writerows(zip(repeat(name), *indices, *blanks, array.ravel().tolist(), strict=False))


def _place(result: Result) -> str:
    place = result.place
    token = "" if place.token is None else f", token row {place.token[0]}, column {place.token[1]}"
    return f"{place.block}, stride {place.stride} px{token} · {place.weights}"
