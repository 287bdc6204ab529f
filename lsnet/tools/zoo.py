"""``python -m lsnet.tools.zoo``: train one network with each mixer and several seeds, all alike, and tabulate them.

``train`` does the runs that are not finished yet, one after the other, each resumable; ``table`` collects finished runs
into ``assets/weights/zoo.csv`` and into the tables of the README there and of the project's; ``bundle`` puts weights of
every mixer among the bundled ones.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lsnet.complexity import Cost, model_cost
from lsnet.config import MixerName
from lsnet.errors import InputError
from lsnet.registry import create_lsnet
from lsnet.tools import bundle, train
from lsnet.tools.command_line import run_tool
from lsnet.tools.recipe import with_network
from lsnet.tools.timing import compare, machine
from lsnet.weights import BUNDLED_DIR, ZOO_FAMILY, zoo_name

SEEDS: Mapping[MixerName, int] = {"ls": 3, "none": 2, "static": 3, "small": 2, "attention": 3}
RECIPE = BUNDLED_DIR / "recipes" / "zoo.json"
READMES = (BUNDLED_DIR / "README.md", BUNDLED_DIR.parents[1] / "README.md")
START, END = "<!-- zoo table: written by lsnet.tools.zoo -->", "<!-- end of zoo table -->"


def plan() -> list[tuple[MixerName, int]]:
    """(mixer, seed) of all runs: first one seed of every mixer, then the next."""
    return [(mixer, seed) for seed in range(max(SEEDS.values())) for mixer, seeds in SEEDS.items() if seed < seeds]


def run_folder(output: Path, mixer: str, seed: int) -> Path:
    return output / f"{ZOO_FAMILY}_{mixer}_seed{seed}"


def train_all(output: Path, recipe: Path, rest: Sequence[str], mixers: Sequence[str] = tuple(SEEDS)) -> None:
    """Do the runs of :func:`plan` with ``mixers``; ``rest`` are options of ``lsnet.tools.train``, say ``--data``."""
    model = json.loads(recipe.read_text())["model"]
    for mixer, seed in plan():
        folder = run_folder(output, mixer, seed)
        if mixer in mixers and not finished(folder):
            given = with_network(["--recipe", str(recipe), *rest], model, {"mixer": mixer})
            train.main([*given, "--seed", str(seed), "--output", str(folder), "--resume"])


def finished(folder: Path) -> bool:
    """Whether a run came to the end of its recipe."""
    log = folder / "log.json"
    if not log.exists():
        return False
    record = json.loads(log.read_text())
    return record["epochs"] == round(sum(epochs for _, epochs in record["recipe"]["phases"]))


def collect(output: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Finished runs, and the options of the model that they share beside the mixer.

    A row for each run: mixer, seed, cost, minutes; of each set, pictures and top-1 with its interval. Parameters and
    MACs are those of the inference form at the evaluation size, without the classifier.

    Raises:
        InputError: the runs differ in more than mixer and seed.
    """
    rows, recipes = [], []
    for mixer, seed in plan():
        folder = run_folder(output, mixer, seed)
        if not finished(folder):
            continue
        record = json.loads((folder / "log.json").read_text())
        recipe = record["recipe"]
        config = create_lsnet(recipe["model"], num_classes=0, **recipe["options"]).config
        cost = sum(model_cost(config, (recipe["eval_size"],) * 2, fused=True).values(), Cost())
        options = {key: value for key, value in recipe["options"].items() if key != "mixer"}
        recipes.append(recipe | {"options": options, "seed": None})
        row = {"model": recipe["model"], "mixer": mixer, "seed": seed, "size": recipe["eval_size"]}
        row |= {"parameters": cost.parameters, "macs": cost.macs, "minutes": record["minutes"]}
        for name, rate in record["accuracy"].items():
            row |= {f"{name} {key}": value for key, value in rate.items()}
        rows.append(row)
    if any(recipe != recipes[0] for recipe in recipes):
        raise InputError("zoo.unlike", f"expected runs under {output} that differ in mixer and seed only")
    return rows, recipes[0]["options"] if recipes else {}


def timed(rows: Sequence[Mapping[str, Any]], options: Mapping[str, Any], seconds: float = 20.0) -> list[dict[str, Any]]:
    """The rows with the median time of one picture here, and with what "here" is.

    Networks take turns, in their inference form, at the evaluation size; ``options`` of the model are alike for all.
    """
    size = rows[0]["size"]
    batch = torch.randn(1, 3, size, size)
    mixers = dict.fromkeys(row["mixer"] for row in rows)
    model = rows[0]["model"]
    alike = {**options, "img_size": size}
    networks = {mixer: create_lsnet(model, mixer=mixer, **alike).eval().fuse() for mixer in mixers}
    with torch.inference_mode():
        calls = {mixer: partial(network, batch) for mixer, network in networks.items()}
        timings = {timing.name: timing for timing in compare(f"{size} px", calls, rows[0]["mixer"], seconds)}
    here = machine()
    where = f"{here['processor']}, {here['threads']} threads"
    return [{**row, "milliseconds": round(timings[row["mixer"]].median_ms, 2), "machine": where} for row in rows]


def read_table(path: Path = BUNDLED_DIR / "zoo.csv") -> list[dict[str, str]]:
    """A row for each run, as :func:`tabulate` wrote them."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of mixers: seeds, cost, time, and mean and spread of each set's accuracy over the seeds."""
    sets = [key.removesuffix(" accuracy") for key in rows[0] if key.endswith(" accuracy")]
    pictures = {name: f"{name}, top-1 of {int(rows[0][f'{name} pictures']):,}" for name in sets}
    lines = [
        "| mixer | seeds | parameters | MACs | time of one picture | " + " | ".join(pictures.values()) + " |",
        "|---" * (5 + len(sets)) + "|",
    ]
    runs = {mixer: [row for row in rows if row["mixer"] == mixer] for mixer in SEEDS}
    baseline = float(rows[0]["milliseconds"])
    for mixer, mine in runs.items():
        if not mine:
            continue
        cells = [mean_and_spread([100 * float(row[f"{name} accuracy"]) for row in mine]) for name in sets]
        milliseconds = float(mine[0]["milliseconds"])
        size = f"{int(mine[0]['parameters']) / 1e6:.2f} M | {int(mine[0]['macs']) / 1e6:.0f} M"
        time = f"{milliseconds:.1f} ms ({milliseconds / baseline:.2f} ×)"
        lines.append(f"| `{mixer}` | {len(mine)} | {size} | {time} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"At {rows[0]['size']} px; parameters and MACs of the inference form without its classifier. Times are medians "
        f"of networks that took turns, on {rows[0]['machine']}.",
    ]
    return "\n".join(lines)


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean, and lowest and highest: of two or three seeds a standard deviation would say little more."""
    if len(values) == 1:
        return f"{values[0]:.1f} % (one seed)"
    return f"{statistics.mean(values):.1f} % ({min(values):.1f} to {max(values):.1f})"


def write_table(
    rows: Sequence[Mapping[str, Any]], table: Path = BUNDLED_DIR / "zoo.csv", readmes: Sequence[Path] = READMES
) -> None:
    """Write the CSV and replace the tables in the READMEs, which say what the CSV says."""
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    told = summary(read_table(table))
    for readme in readmes:
        before, _, rest = readme.read_text(encoding="utf-8").partition(START)
        _, _, after = rest.partition(END)
        readme.write_text(f"{before}{START}\n{told}\n{END}{after}", encoding="utf-8")


def tabulate(output: Path) -> None:
    """Collect the finished runs, time their networks, and write the tables."""
    rows, options = collect(output)
    if not rows:
        raise InputError("zoo.none", f"expected at least one finished run under {output}, found none")
    write_table(timed(rows, options))


def bundle_all(output: Path, rest: Sequence[str]) -> None:
    """Bundle seed 0 of every mixer: chosen before any was trained. ``rest`` names the pictures, as for training."""
    for mixer in SEEDS:
        bundle.main([str(run_folder(output, mixer, 0)), "--name", zoo_name(mixer), *rest])


def main(argv: Sequence[str] | None = None) -> None:
    """Train the zoo, tabulate what is trained, bundle one network of each mixer."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.zoo", description=main.__doc__)
    parser.add_argument("action", choices=("train", "table", "bundle"))
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
    elif args.action == "table":
        tabulate(args.output)
    else:
        bundle_all(args.output, rest)


if __name__ == "__main__":
    run_tool(main)
