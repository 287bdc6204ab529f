"""``python -m lsnet.tools.train``: train any timm model, LSNet's mixers included, on folders or tars of pictures."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from lsnet.tools import distill
from lsnet.tools.command_line import run_tool
from lsnet.tools.metrics import Tally
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import Recipe, add_arguments, from_arguments
from lsnet.tools.run_files import RunFiles
from lsnet.tools.sets import add_set_arguments, load_sets
from lsnet.tools.trainer import Trainer

log = logging.getLogger("lsnet.train")


def train(trainer: Trainer, files: RunFiles, command: str = "", limit: int | None = None) -> dict[str, Tally]:
    """Train to the end of the recipe, writing log, state and weights as it goes; returns the final tallies.

    Args:
        trainer: new, or with a state loaded.
        files: where everything is written.
        command: what was run, for the record.
        limit: how many pictures of each test set to look at between epochs; the final evaluation uses all.
    """
    recipe, processes = trainer.recipe, trainer.processes
    tallies: dict[str, Tally] = {}
    while trainer.epoch < recipe.epochs:
        size, before = recipe.size(trainer.epoch + 1 - 1 / trainer.updates_per_epoch), trainer.seconds
        trainer.train_epoch(files if processes.leads else None)
        last = trainer.epoch + 1 == recipe.epochs
        tallies = trainer.evaluate(recipe.eval_size if last else size, None if last else limit)
        row = {"epoch": trainer.epoch + 1, "size": size, "loss": round(trainer.loss_sum / trainer.update, 4)}
        row |= {"lr": trainer.optimizer.param_groups[0]["lr"], "eval_size": recipe.eval_size if last else size}
        row |= {"eval_pictures": sum(tally.accuracy.total for tally in tallies.values())}
        row |= {name: round(tally.accuracy.value, 4) for name, tally in tallies.items()}
        row |= {"seconds": round(trainer.seconds, 1), "epoch_seconds": round(trainer.seconds - before, 1)}
        trainer.rows.append(row)
        trainer.epoch, trainer.update, trainer.loss_sum = trainer.epoch + 1, 0, 0.0
        if processes.leads:
            log.info("%s", "  ".join(f"{key} {value}" for key, value in row.items()))
            files.save_epoch(trainer, tallies, command)
        processes.wait()
    return tallies


def main(argv: Sequence[str] | None = None) -> None:
    """Train a network on pictures in folders or tars."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.train", description=main.__doc__)
    add_set_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder for log, state and weights")
    teachers = parser.add_mutually_exclusive_group()
    teachers.add_argument("--teacher", help="a timm model to learn from, or efficientnet-lite0-package")
    teachers.add_argument("--teacher-table", type=Path, help="saved logits of a teacher: .safetensors or .npy")
    parser.add_argument("--init", type=Path, help="--output folder of a run whose weights to begin with")
    parser.add_argument("--eval-limit", type=int, help="pictures of each test set to look at between epochs")
    parser.add_argument("--save-minutes", type=float, default=5.0, help="time between saved states within an epoch")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --output where there is one")
    add_arguments(parser)
    args = parser.parse_args(argv)
    if not args.resume and (args.output / "state.pt").exists():
        parser.error(f"{args.output} holds a run already: give --resume to go on with it, or another --output")
    recipe, processes = from_arguments(args), Processes.join()
    logging.basicConfig(level=logging.INFO if processes.leads else logging.WARNING, format="%(message)s")
    _run(args, recipe, processes, processes.command("lsnet.tools.train", argv or sys.argv[1:]))
    processes.leave()


def _run(args: argparse.Namespace, recipe: Recipe, processes: Processes, command: str) -> None:
    """Train as the arguments say.

    The trainer ends here, before its processes part: were DistributedDataParallel the last to hold their group, it
    would free it with Python's lock held, which Gloo's threads may still be waiting for.
    """
    sets = load_sets(args, recipe, processes)
    teacher: distill.Teacher | Tensor | None = distill.load_teacher(args.teacher) if args.teacher else None
    name = args.teacher or ""
    if args.teacher_table:
        teacher, name = distill.load_table(args.teacher_table, sets.training), distill.teacher_of(args.teacher_table)
    trainer, files = Trainer(recipe, sets, processes, teacher, name), RunFiles(args.output, args.save_minutes)
    if args.init:
        trainer.start_from(RunFiles(args.init))
    if args.resume and (state := files.load_state(processes.device)):
        trainer.load_state(state)
        log.info("resumed after %d epochs and %d updates", trainer.epoch, trainer.update)
    train(trainer, files, command, args.eval_limit)


if __name__ == "__main__":
    run_tool(main)
