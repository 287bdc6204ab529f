"""``python -m lsnet.tools.train_speed``: pictures a second of our training loop and of a plain timm one, here.

The plain loop is timm's dataset, transforms, loader and optimizer, at the evaluation size from first to last. Ours
differs by decoding once, cropping whole batches, progressive resolution and a fused optimizer; timed at every size
of the recipe, and over the recipe as a whole by what each phase's pictures cost. Both learn from labels alone.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

import timm
import torch
from timm.data import ImageDataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from torch import Tensor

import lsnet  # noqa: F401 (registers the models)
from lsnet.tools.command_line import run_tool
from lsnet.tools.data import Source
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import Recipe
from lsnet.tools.results import origin
from lsnet.tools.sets import decode
from lsnet.tools.trainer import Trainer

SKIPPED = 2  # updates that allocate, compile or fill a queue


def plain_updates(recipe: Recipe, data: Path, workers: int, device: torch.device) -> Callable[[], object]:
    """One update of a plain timm loop, as a function."""
    dataset = ImageDataset(str(data))
    loader = create_loader(
        dataset,
        (3, recipe.eval_size, recipe.eval_size),
        recipe.batch_size,
        is_training=True,
        use_prefetcher=False,
        scale=recipe.scale,
        color_jitter=recipe.jitter,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    batches: Iterator[tuple[Tensor, Tensor]] = chain.from_iterable(repeat(loader))
    reader = dataset.reader
    classes = len(reader.class_to_idx if hasattr(reader, "class_to_idx") else reader.class_name_to_idx)  # of a tar
    model = timm.create_model(recipe.model, num_classes=classes, **recipe.options).to(device).train()
    optimizer = create_optimizer_v2(model, recipe.opt, lr=recipe.lr, weight_decay=recipe.weight_decay)
    loss_function = LabelSmoothingCrossEntropy(recipe.smoothing)

    def update() -> float:
        pixels, labels = next(batches)
        loss: Tensor = loss_function(model(pixels.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return update


def our_updates(trainer: Trainer, size: int) -> Callable[[], object]:
    """One update of ours at an input side, as a function."""
    batch = trainer.recipe.batch_size
    order = torch.randperm(len(trainer.sets.labels)).numpy()
    starts = iter(range(0, len(order) - batch, batch))

    def update() -> float:
        start = next(starts)
        return trainer._update(order[start : start + batch], size)

    trainer.student.train()
    return update


def pictures_per_second(update: Callable[[], object], batch_size: int, updates: int) -> float:
    """Median over ``updates`` updates, after a few that are not counted."""
    seconds = []
    for _ in range(SKIPPED + updates):
        start = time.perf_counter()
        update()
        seconds.append(time.perf_counter() - start)
    return batch_size / statistics.median(seconds[SKIPPED:])


def main(argv: Sequence[str] | None = None) -> None:
    """Compare training loops on the pictures of one folder or tar."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.train_speed", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="an ImageFolder tree or a tar of one")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded pictures")
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--updates", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2, help="processes that decode for the plain loop")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args(argv)
    recipe = Recipe.from_dict(json.loads(args.recipe.read_text()) | {"distill": "none"})
    processes = Processes.join()
    trainer = Trainer(recipe, decode([Source(args.data)], recipe, args.cache), processes)
    ours = {
        size: pictures_per_second(our_updates(trainer, size), recipe.batch_size, args.updates)
        for size in sorted({size for size, _ in recipe.phases})
    }
    update = plain_updates(recipe, args.data, args.workers, processes.device)
    plain = pictures_per_second(update, recipe.batch_size, args.updates)
    whole = recipe.epochs / sum(epochs / ours[size] for size, epochs in recipe.phases)
    for size, rate in ours.items():
        print(f"ours at {size} px: {rate:.1f} pictures a second")
    print(f"plain timm at {recipe.eval_size} px: {plain:.1f}")
    print(f"ours over the recipe: {whole:.1f}, {whole / plain:.2f} times the plain loop")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        how = origin(processes.command("lsnet.tools.train_speed", argv or sys.argv[1:]))
        result = {**how, "data": args.data.name, "model": recipe.model, "ours": ours, "plain": plain, "whole": whole}
        result["ratio"] = whole / plain
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    run_tool(main)
