"""``python -m lsnet.tools.ablations``: every row of the paper's tables 5 to 9, counted here, or trained.

``count`` prints each row's model and options with its multiply-accumulates at 224 pixels beside the printed ones;
``train`` hands a row's network to ``lsnet.tools.train``.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch

import lsnet  # noqa: F401 (registers the models)
from lsnet.complexity import counted_cost
from lsnet.tools import train
from lsnet.tools.command_line import run_tool
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import with_network
from lsnet.tools.results import origin, origin_columns, write_csv
from lsnet.tools.writing import write_in_one_step

PAPER_FILE = Path(__file__).resolve().parents[2] / "assets" / "paper_tables.json"
SIZE = 224  # pixels, in all five tables


@dataclass(frozen=True)
class Row:
    """One network of the tables: a timm model, and the options that make it this row."""

    model: str = "lsnet_t"
    options: Mapping[str, Any] = field(default_factory=dict)

    def gmacs(self) -> float:
        """Multiply-accumulates for one picture in units of 10⁹: convolutions, matrix products and SKA."""
        network = timm.create_model(self.model, **self.options).eval()
        return counted_cost(network, (1, 3, SIZE, SIZE)).macs / 1e9


# By the number of the table and the row's printed name.
ROWS: Mapping[int, Mapping[str, Row]] = {
    5: {
        "w/o LS conv": Row(options={"mixer": "none"}),
        "LS conv": Row(),
        "(S)W-SA": Row(options={"mixer": "window"}),
        "SDTA": Row(options={"mixer": "sdta"}),
        "LSRA": Row(options={"mixer": "lsra"}),
        "RepMixer": Row(options={"mixer": "repmixer"}),
        "CGA": Row(options={"mixer": "cga"}),
        "AFF": Row(options={"mixer": "aff"}),
    },
    6: {
        "LS conv": Row(),
        "CondConv": Row(options={"mixer": "condconv"}),
        "DY-Conv": Row(options={"mixer": "dyconv"}),
        "Involution": Row(options={"mixer": "involution"}),
        "DCD": Row(options={"mixer": "dcd"}),
        "CoT": Row(options={"mixer": "cot"}),
        "ODConv": Row(options={"mixer": "odconv"}),
    },
    7: {
        "LSNet-T (K_L = 7, K_S = 3)": Row(),
        "w/o LKP": Row(options={"kernel_large": 1}),
        "K_L = 3": Row(options={"kernel_large": 3}),
        "K_L = 5": Row(options={"kernel_large": 5}),
        "K_L = 9": Row(options={"kernel_large": 9}),
        "w/o SKA": Row(options={"ska": False}),
        "K_S = 1": Row(options={"kernel_small": 1}),
        "K_S = 5": Row(options={"kernel_small": 5}),
    },
    8: {
        "LSNet-T (C/G = 8)": Row(),
        "C/G = 1": Row(options={"channels_per_set": 1}),
        "C/G = 4": Row(options={"channels_per_set": 4}),
        "C/G = 16": Row(options={"channels_per_set": 16}),
        "C/G = 32": Row(options={"channels_per_set": 32}),
        "w/o DW": Row(options={"dw": False}),
        "w/o SE": Row(options={"se": False}),
    },
    9: {
        "ResNet50": Row("resnet50"),
        "ResNet50 + LS conv": Row("ls_resnet50"),
        "DeiT-T": Row("deit_tiny_patch16_224"),
        "DeiT-T + LS conv": Row("ls_deit_tiny"),
    },
}


def printed_gmacs() -> dict[tuple[int, str], float]:
    """What the paper prints, by table and row."""
    tables = json.loads(PAPER_FILE.read_text(encoding="utf-8"))["tables"]
    return {
        (table["number"], row[0]): row[table["columns"].index("flops")]
        for table in tables
        if table["number"] in ROWS
        for row in table["rows"]
    }


def count(tables: Sequence[int], path: Path | None = None, command: str = "") -> None:
    """Print the rows of these tables; where a path is given, also write them there as CSV, and beside it as JSON."""
    printed, lines = printed_gmacs(), []
    for table in tables:
        print(f"Table {table}{'':34}MACs here   printed")
        for name, row in ROWS[table].items():
            gmacs = row.gmacs()
            line = {"table": table, "row": name, "model": row.model, "options": json.dumps(row.options)}
            line |= {"gmacs": round(gmacs, 5), "printed_gmacs": printed[table, name]}
            lines.append(line)
            decimals = 2 if row.model.startswith("lsnet") else 1
            close = "" if round(gmacs, decimals) == printed[table, name] else "  does not round to it"
            print(f"  {name:28}{gmacs:13.4f} G{printed[table, name]:8} G{close}   {row.model} {line['options']}")
    if path is not None:
        how = origin(command)
        write_csv(path, lines, origin_columns(how))
        write_in_one_step(path.with_suffix(".json"), json.dumps({**how, "rows": lines}, indent=1) + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Count or train rows of the paper's tables 5 to 9."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.ablations", description=main.__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    counting = actions.add_parser("count", help="multiply-accumulates of every row, here and as printed")
    counting.add_argument("--tables", type=int, nargs="+", choices=list(ROWS), default=list(ROWS))
    counting.add_argument("--csv", type=Path, help="also write them here, and as JSON beside it")
    training = actions.add_parser("train", help="train one row; all other options are those of lsnet.tools.train")
    training.add_argument("table", type=int, choices=list(ROWS))
    training.add_argument("row", help="name as printed, such as 'K_S = 5'")
    args, rest = parser.parse_known_args(argv)
    if args.action == "count":
        if rest:
            parser.error(f"unknown options: {' '.join(rest)}")
        command = Processes(0, 1, torch.device("cpu")).command("lsnet.tools.ablations", argv or sys.argv[1:])
        count(args.tables, args.csv, command)
        return
    row = ROWS[args.table].get(args.row)
    if row is None:
        parser.error(f"table {args.table} has no row {args.row!r}; it has {', '.join(ROWS[args.table])}")
    train.main(with_network(rest, row.model, row.options))


if __name__ == "__main__":
    run_tool(main)
