"""``python -m lsnet.tools.zoo``: train one network with each mixer and several seeds, all alike, and tabulate them.

``train`` does the runs that are not finished yet, one after the other, each resumable; ``table`` collects finished runs
into ``zoo.csv`` and into the table of ``README.md``, both in ``assets/weights``.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm

from lsnet.config import MixerName
from lsnet.tools import train
from lsnet.weights import BUNDLED_DIR

SEEDS: Mapping[MixerName, int] = {"ls": 3, "none": 2, "static": 3, "small": 2, "attention": 3}
RECIPE = BUNDLED_DIR / "recipes" / "zoo.json"
START, END = "<!-- zoo table: written by lsnet.tools.zoo -->", "<!-- end of zoo table -->"


def plan() -> list[tuple[MixerName, int]]:
    """(mixer, seed) of all runs: first one seed of every mixer, then the next."""
    return [(mixer, seed) for seed in range(max(SEEDS.values())) for mixer, seeds in SEEDS.items() if seed < seeds]


def run_folder(output: Path, mixer: str, seed: int) -> Path:
    return output / f"lsnet_n_{mixer}_seed{seed}"


def train_all(output: Path, recipe: Path, rest: Sequence[str], mixers: Sequence[str] = tuple(SEEDS)) -> None:
    """Do the runs of :func:`plan` with ``mixers``; ``rest`` are options of ``lsnet.tools.train``, such as ``--data``."""
    options = json.loads(recipe.read_text()).get("options", {})
    for mixer, seed in plan():
        folder = run_folder(output, mixer, seed)
        if mixer in mixers and not finished(folder):
            given = ["--recipe", str(recipe), "--options", json.dumps(options | {"mixer": mixer}), "--seed", str(seed)]
            train.main([*given, "--output", str(folder), "--resume", *rest])


def finished(folder: Path) -> bool:
    """Whether a run came to the end of its recipe."""
    log = folder / "log.json"
    if not log.exists():
        return False
    record = json.loads(log.read_text())
    return record["epochs"] == round(sum(epochs for _, epochs in record["recipe"]["phases"]))


def collect(output: Path) -> list[dict[str, Any]]:
    """A row for each finished run: mixer, seed, parameters, minutes; of each set, pictures and top-1 with its interval.

    Raises:
        ValueError: the runs differ in more than mixer and seed.
    """
    rows, recipes = [], []
    for mixer, seed in plan():
        folder = run_folder(output, mixer, seed)
        if not finished(folder):
            continue
        record = json.loads((folder / "log.json").read_text())
        recipe = record["recipe"]
        model = timm.create_model(recipe["model"], num_classes=0, **recipe["options"])
        options = {key: value for key, value in recipe["options"].items() if key != "mixer"}
        recipes.append(recipe | {"options": options, "seed": None})
        row = {"model": recipe["model"], "mixer": mixer, "seed": seed}
        row |= {"parameters": sum(p.numel() for p in model.parameters()), "minutes": record["minutes"]}
        for name, rate in record["accuracy"].items():
            row |= {f"{name} {key}": value for key, value in rate.items()}
        rows.append(row)
    if any(recipe != recipes[0] for recipe in recipes):
        raise ValueError(f"expected runs under {output} that differ in mixer and seed only")
    return rows


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of mixers: seeds, parameters, and mean and spread of each set's accuracy over the seeds."""
    sets = [key.removesuffix(" accuracy") for key in rows[0] if key.endswith(" accuracy")] if rows else []
    lines = [
        "| mixer | seeds | parameters without classifier | " + " | ".join(f"{name}, top-1" for name in sets) + " |",
        "|---" * (3 + len(sets)) + "|",
    ]
    for mixer in SEEDS:
        mine = [row for row in rows if row["mixer"] == mixer]
        if mine:
            cells = [mean_and_spread([100 * float(row[f"{name} accuracy"]) for row in mine]) for name in sets]
            lines.append(f"| `{mixer}` | {len(mine)} | {int(mine[0]['parameters']):,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean, and lowest and highest: of two or three seeds a standard deviation would say little more."""
    if len(values) == 1:
        return f"{values[0]:.1f} % (one seed)"
    return f"{statistics.mean(values):.1f} % ({min(values):.1f} to {max(values):.1f})"


def write_table(rows: Sequence[Mapping[str, Any]], folder: Path = BUNDLED_DIR) -> None:
    """Write ``zoo.csv`` and replace the table in ``README.md``."""
    if not rows:
        raise ValueError("expected at least one finished run, found none")
    with (folder / "zoo.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{START}\n{summary(rows)}\n{END}{after}", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Train the zoo, or tabulate what is trained."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.zoo", description=main.__doc__)
    parser.add_argument("action", choices=("train", "table"))
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument(
        "--mixers",
        nargs="+",
        choices=list(SEEDS),
        default=list(SEEDS),
        help="train these only, so that several processes or machines can share the work",
    )
    args, rest = parser.parse_known_args(argv)
    if args.action == "train":
        train_all(args.output, args.recipe, rest, args.mixers)
    else:
        write_table(collect(args.output))


if __name__ == "__main__":
    main()
