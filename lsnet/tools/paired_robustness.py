"""``python -m lsnet.tools.paired_robustness``: several weights on the very same corrupted pictures.

Held-out pictures are corrupted here, once for all weights, so that weights differ by what they make of the pictures and
not by which ones they got. Intervals are 95 % percentile bootstraps over pictures, each with all its corruptions; a
difference between two weights is taken picture by picture, which makes its interval narrower than those of the two.

All answers are kept in ``answers_<set>.npz`` in ``--output``, and the same command goes on where it was stopped.
``robustness.csv`` there is what :func:`summary` makes of them.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats  # type: ignore[import-untyped]
from tqdm import tqdm

from lsnet.errors import InputError
from lsnet.predictor import Predictor, load_predictor
from lsnet.tools import corruptions
from lsnet.tools.command_line import run_tool
from lsnet.tools.corruptions import CORRUPTIONS, SEVERITIES
from lsnet.tools.data import Pictures
from lsnet.tools.processes import Processes
from lsnet.tools.results import origin, origin_columns, text_digest, weights_digest, write_csv
from lsnet.tools.sets import add_set_arguments, sources_of
from lsnet.tools.validate import logits_of, matched_pictures
from lsnet.tools.writing import write_in_one_step

RESAMPLES = 2000

# Of the four kinds of ImageNet-C. Source: Hendrycks and Dietterich, 2019, figure 1.
KINDS: Mapping[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}


class Answers:
    """Which pictures which weights got right, under which corruption.

    Args:
        path: of the ``.npz`` file that keeps them; continued where it is there.
        about: what decides the answers: weights, pictures, size.
        shape: (weights, pictures).
        conditions: (corruption, severity) of every condition; ``("", 0)`` for pictures as they are.

    Attributes:
        right: (weights, conditions, pictures), 1 where right, 0 where wrong, -1 where not measured yet.

    Raises:
        InputError: the file holds answers about something else.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any], shape: tuple[int, int], conditions: Sequence[tuple[str, int]]
    ) -> None:
        self.path, self.about, self.conditions = path, json.dumps(about, sort_keys=True), tuple(conditions)
        self.right: npt.NDArray[np.int8] = np.full((shape[0], len(conditions), shape[1]), -1, np.int8)
        if path.exists():
            with np.load(path, allow_pickle=False) as kept:
                if str(kept["about"]) != self.about:
                    raise InputError(
                        "data.other_results",
                        f"{path.name!r} holds answers of other weights or pictures: give another --output",
                        folder=path.name,
                    )
                self.right = kept["right"]

    def lacks(self, condition: int) -> bool:
        return bool((self.right[:, condition] < 0).any())

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(
            ".part.npz"
        )  # replaced in one step: an interruption leaves the old file or the new
        np.savez_compressed(
            part, right=self.right, about=self.about, conditions=[f"{name} {level}" for name, level in self.conditions]
        )
        part.replace(self.path)


def fill(answers: Answers, predictors: Sequence[Predictor], pictures: Pictures, pool: Executor | None) -> None:
    """Measure what is not measured yet; every condition is kept as soon as it is done."""
    rows = np.arange(len(pictures))
    waiting = [index for index in range(len(answers.conditions)) if answers.lacks(index)]
    for index in tqdm(waiting, pictures.name, unit="condition", mininterval=2):
        name, severity = answers.conditions[index]
        made = corruptions.corrupted(pictures, name, severity, pool).pixels[rows] if name else pictures.pixels
        seen = replace(pictures, pixels=made)
        for which, predictor in enumerate(predictors):
            for batch, logits, _ in logits_of(predictor, seen, rows):
                answers.right[which, index, batch] = logits.argmax(1).numpy() == pictures.labels[batch]
        answers.save()


def summary(answers: Answers, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each of the weights; all values are shares of right answers, 0…1, with the ends of their intervals.

    ``clean`` is for pictures as they are, ``corrupted`` the mean over all conditions, ``noise`` to ``digital`` over
    those of one kind, ``kept`` is ``corrupted`` divided by ``clean``, ``against_first`` the difference of ``corrupted``
    to that of the first weights.
    """
    corrupted = [index for index, (name, _) in enumerate(answers.conditions) if name]
    clean = answers.conditions.index(("", 0))
    rows = []
    for which, name in enumerate(names):
        right = answers.right[which].astype(float)  # (conditions, pictures)
        first = answers.right[0, corrupted].mean(0)
        mine = right[corrupted].mean(0)  # (pictures,)
        row: dict[str, Any] = {"weights": name, "pictures": right.shape[1], "conditions": len(corrupted)}
        row |= with_interval("clean", right[clean])
        row |= with_interval("corrupted", mine)
        for kind, members in KINDS.items():
            chosen = [index for index in corrupted if answers.conditions[index][0] in members]
            if chosen:
                row |= with_interval(kind, right[chosen].mean(0))
        row |= with_interval("kept", mine, right[clean])
        row |= with_interval("against_first", mine - first)
        rows.append(row)
    return rows


def with_interval(name: str, values: npt.NDArray[Any], parts_of: npt.NDArray[Any] | None = None) -> dict[str, float]:
    """A mean over pictures and the ends of its 95 % bootstrap interval.

    Args:
        name: of the mean; its ends are called ``<name>_low`` and ``<name>_high``.
        values: (N,), of every picture.
        parts_of: (N,); with it, not the mean of ``values`` but their sum divided by the sum of these.
    """

    def statistic(x: npt.NDArray[Any], y: npt.NDArray[Any] | None = None, axis: int = -1) -> Any:
        return x.mean(axis) if y is None else x.sum(axis) / y.sum(axis)

    data = (values,) if parts_of is None else (values, parts_of)
    value = float(statistic(*data))
    if np.ptp(values) == 0:  # nothing to resample, and scipy would say nan
        return {name: value, f"{name}_low": value, f"{name}_high": value}
    found = stats.bootstrap(
        data, statistic, n_resamples=RESAMPLES, paired=True, vectorized=True, method="percentile", rng=0
    ).confidence_interval
    return {name: value, f"{name}_low": float(found.low), f"{name}_high": float(found.high)}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table, in per cent."""

    def cell(row: Mapping[str, Any], key: str, sign: str = "") -> str:
        value, low, high = (f"{100 * float(row[end]):{sign}.1f}" for end in (key, f"{key}_low", f"{key}_high"))
        return f"{value} [{low}, {high}]"

    lines = [
        "| set | weights | as they are | corrupted | kept of it | corrupted, against the first |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        against = (
            cell(row, "against_first", "+")
            if float(row["against_first_low"]) != float(row["against_first_high"])
            else "–"
        )
        cells = [cell(row, key) for key in ("clean", "corrupted", "kept")]
        lines.append(f"| {row['set']} | `{row['weights']}` | {' | '.join(cells)} | {against} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure several weights on the same corrupted pictures."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.paired_robustness", description=main.__doc__)
    parser.add_argument("--weights", nargs="+", required=True, help="the first ones are what others are compared with")
    parser.add_argument("--output", type=Path, required=True, help="folder for answers and table")
    add_set_arguments(parser)
    parser.add_argument("--corruptions", nargs="+", default=CORRUPTIONS, choices=CORRUPTIONS)
    parser.add_argument("--severities", nargs="+", type=int, default=SEVERITIES, choices=SEVERITIES)
    parser.add_argument("--limit", type=int, default=200, help="pictures of each set, drawn once for all")
    parser.add_argument("--workers", type=int, default=2, help="processes that corrupt")
    args = parser.parse_args(argv)
    predictors = [load_predictor(name) for name in args.weights]
    if len({predictor.preprocess for predictor in predictors}) > 1:
        parser.error("expected weights that see pictures alike: size, crop and normalization")
    if len({tuple(label.id for label in predictor.classes) for predictor in predictors}) > 1:
        parser.error("expected weights that know the same classes, in the same order")
    for predictor in predictors:
        predictor.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    conditions = [("", 0), *((name, severity) for name in args.corruptions for severity in args.severities)]
    corruptions.package_version()
    rows = []
    with corruptions.process_pool(args.workers) as pool:
        for source in sources_of(args):
            pictures = matched_pictures(source, predictors[0], args.cache).drawn(args.limit)
            about = {
                "weights": [weights_digest(predictor.model) for predictor in predictors],
                "pictures": [pictures.name, len(pictures), text_digest("\n".join(pictures.members))],
                "size": predictors[0].preprocess.size,
                "conditions": conditions,
            }
            answers = Answers(
                args.output / f"answers_{pictures.name}.npz", about, (len(predictors), len(pictures)), conditions
            )
            fill(answers, predictors, pictures, pool)
            rows += [{"set": pictures.name} | row for row in summary(answers, args.weights)]
    if not rows:
        parser.error("expected --data or --dataset")
    command = Processes(0, 1, predictors[0].device).command("lsnet.tools.paired_robustness", argv or sys.argv[1:])
    how = origin(command, corruptions.PACKAGE)
    write_csv(args.output / "robustness.csv", rows, origin_columns(how))
    write_in_one_step(args.output / "robustness.json", json.dumps({**how, "rows": rows}, indent=1) + "\n")
    print(markdown(rows))


if __name__ == "__main__":
    run_tool(main)
