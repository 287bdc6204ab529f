"""``python -m lsnet.tools.train``: train any timm model, LSNet's mixers included, on folders or tars of pictures.

Everything random about an update (which pictures, their crops, dropped paths) is drawn from its number and the seed, so
that an interrupted run that resumes ends with the same weights, and several processes see the batches of one.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from timm.data import Mixup
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

import lsnet  # noqa: F401 (registers the models)
from lsnet.errors import InputError
from lsnet.tools import crops, distill
from lsnet.tools.command_line import run_tool
from lsnet.tools.data import Pictures
from lsnet.tools.metrics import Tally
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import Recipe, add_arguments, from_arguments
from lsnet.tools.run_files import RunFiles
from lsnet.tools.sets import Sets, add_set_arguments, load_sets

log = logging.getLogger("lsnet.train")

AMP_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Trainer:
    """A network, what updates it, and how far it has come.

    Args:
        recipe: how to train.
        sets: the pictures.
        processes: this process and its siblings.
        teacher: a network to learn from, or its logits for the training pictures (N, teacher's classes).
        teacher_name: what it is called, for the record.
    """

    def __init__(
        self,
        recipe: Recipe,
        sets: Sets,
        processes: Processes,
        teacher: distill.Teacher | Tensor | None = None,
        teacher_name: str = "",
    ) -> None:
        if (teacher is None) != (recipe.distill == "none"):
            raise InputError(
                "train.teacher", f"expected a teacher exactly where the recipe distils, got distill={recipe.distill!r}"
            )
        if recipe.mixes and isinstance(teacher, Tensor):
            raise InputError(
                "train.teacher", "expected a teacher network: a table of logits does not fit blended pictures (mixup)"
            )
        self.recipe, self.sets, self.processes, self.teacher_name = recipe, sets, processes, teacher_name
        device = processes.device
        self.teacher = None if teacher is None else teacher.to(device)
        torch.manual_seed(recipe.seed)
        options = dict(recipe.options) | ({"distilled": True} if recipe.distill == "hard" else {})
        self.network: nn.Module = timm.create_model(recipe.model, num_classes=len(sets.classes), **options)
        if recipe.distill == "hard":
            self.network.set_distilled_training(True)  # type: ignore[operator]
        student: nn.Module = self.network
        if recipe.distill == "second":
            student = distill.WithSecondTask(student, self._teacher_classes())
        memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.student = student.to(device=device, memory_format=memory_format)  # type: ignore[call-overload]
        self.memory_format = memory_format
        self.optimizer = create_optimizer_v2(
            self.student,
            recipe.opt,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            filter_bias_and_bn=True,
            **({"fused": True} if recipe.opt in ("adam", "adamw") else {}),  # type: ignore[arg-type]
        )
        self.scheduler, _ = create_scheduler_v2(
            self.optimizer,
            "cosine",
            num_epochs=recipe.cosine_epochs,  # type: ignore[arg-type] # fractions of epochs work too
            warmup_epochs=recipe.warmup_epochs,  # type: ignore[arg-type]
            warmup_lr=recipe.lr / 100,
            min_lr=recipe.min_lr,
            warmup_prefix=True,
            step_on_epochs=False,
            updates_per_epoch=self.updates_per_epoch,
        )
        self.ema = ModelEmaV3(self.network, recipe.ema_decay, use_warmup=True) if recipe.ema_decay else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.amp == "fp16")
        self.mixup = (
            Mixup(recipe.mixup, recipe.cutmix, label_smoothing=recipe.smoothing, num_classes=len(sets.classes))
            if recipe.mixes
            else None
        )
        self.label_loss = SoftTargetCrossEntropy() if recipe.mixes else LabelSmoothingCrossEntropy(recipe.smoothing)
        self.running = torch.compile(self.student) if recipe.compile else self.student
        if processes.count > 1:
            self.running = DistributedDataParallel(self.running)
        self.epoch = self.update = 0  # epochs done, and updates done of the next one
        self.loss_sum = 0.0  # of those updates
        self.rows: list[dict[str, Any]] = []
        self.earlier: list[dict[str, Any]] = []  # records of the runs whose weights this one began with
        self.seconds = 0.0

    @property
    def updates_per_epoch(self) -> int:
        count = len(self.sets.labels) // self.recipe.batch_size
        if count == 0:
            raise InputError(
                "train.pictures",
                f"expected at least one batch of {self.recipe.batch_size}, got {len(self.sets.labels)} pictures",
            )
        return count

    @property
    def result(self) -> nn.Module:
        """The network to evaluate and to keep."""
        return self.network if self.ema is None else self.ema.module

    def train_epoch(self, files: RunFiles | None = None) -> None:
        """Do the updates of the current epoch that are not done yet; save the state now and then."""
        recipe = self.recipe
        order = torch.randperm(len(self.sets.labels), generator=self._generator(self.epoch)).numpy()
        self.student.train()
        start = time.monotonic()
        progress = tqdm(
            range(self.update, self.updates_per_epoch),
            f"epoch {self.epoch + 1}/{recipe.epochs}",
            initial=self.update,
            total=self.updates_per_epoch,
            mininterval=10,
            disable=not self.processes.leads,
        )
        for update in progress:
            rows = order[update * recipe.batch_size : (update + 1) * recipe.batch_size]
            size = recipe.size(self.epoch + update / self.updates_per_epoch)
            self.loss_sum += self._update(rows, size)
            self.update += 1
            progress.set_postfix(px=size, loss=f"{self.loss_sum / self.update:.3f}", refresh=False)
            if files is not None and files.state_due():
                self.seconds += time.monotonic() - start
                start = time.monotonic()
                files.save_state(self.state())
        self.seconds += time.monotonic() - start

    def _update(self, rows: np.ndarray[Any, np.dtype[np.int64]], size: int) -> float:
        recipe, device = self.recipe, self.processes.device
        generator = self._generator(self.epoch, self.update + 1)
        drawn = crops.draw(recipe.augmentation(), torch.from_numpy(self.sets.aspects[rows]), generator)
        mine = self.processes.share(len(rows))
        rows, drawn = rows[mine], drawn[mine]
        pixels = crops.crop(self.sets.pixels(rows).to(device), drawn, size)
        labels = torch.from_numpy(self.sets.labels[rows]).to(device)
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)) + self.processes.rank)
        if self.mixup is not None:
            np.random.seed(int(torch.randint(2**31, (), generator=generator)) + self.processes.rank)
            pixels, labels = self.mixup(pixels, labels)
        inputs = crops.normalize(pixels).contiguous(memory_format=self.memory_format)
        with self._autocast():
            outputs = self.running(inputs)
            loss = self._loss(outputs, labels, self._ask_teacher(pixels, rows))
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if recipe.clip_grad:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.student.parameters(), recipe.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        done = self.epoch * self.updates_per_epoch + self.update + 1
        self.scheduler.step_update(self._schedule_position(done))
        if self.ema is not None:
            self.ema.update(self.network, step=done)
        return loss.item()

    def _schedule_position(self, done: int) -> int:
        """Where timm's warm-up and cosine stand after ``done`` updates; they stand still while the rate is held."""
        per_epoch, recipe = self.updates_per_epoch, self.recipe
        warmup = round(recipe.warmup_epochs * per_epoch)
        held = round((recipe.epochs - recipe.warmup_epochs - recipe.cosine_epochs) * per_epoch)
        return done if done <= warmup else max(warmup, done - held)

    def _loss(self, outputs: Any, labels: Tensor, teacher: Tensor | None) -> Tensor:
        recipe = self.recipe
        if teacher is None:
            return self.label_loss(outputs.float(), labels)
        if recipe.distill in ("hard", "second"):
            own, other = (output.float() for output in outputs)
            if recipe.distill == "hard":
                return distill.hard_loss(self.label_loss(own, labels), other, teacher)
            second = distill.soft_loss(other, teacher, recipe.temperature)
            return self.label_loss(own, labels) + recipe.distill_weight * second
        soft = distill.soft_loss(outputs.float(), teacher, recipe.temperature)
        share = recipe.distill_weight
        return (1 - share) * self.label_loss(outputs.float(), labels) + share * soft

    def _ask_teacher(self, pixels: Tensor, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor | None:
        if isinstance(self.teacher, Tensor):
            return self.teacher[torch.from_numpy(rows).to(self.teacher.device)].float()
        return None if self.teacher is None else self.teacher(pixels)

    def _teacher_classes(self) -> int:
        assert self.teacher is not None
        if isinstance(self.teacher, Tensor):
            return self.teacher.shape[1]
        side = self.teacher.size
        return int(self.teacher(torch.zeros(1, 3, side, side, device=self.processes.device)).shape[1])

    def _autocast(self) -> AbstractContextManager[None]:
        if self.recipe.amp == "none":
            return nullcontext()
        return torch.autocast(self.processes.device.type, AMP_TYPES[self.recipe.amp])

    def _generator(self, *position: int) -> torch.Generator:
        """Randomness for a place in the run: the seed and (epoch,) or (epoch, update + 1)."""
        words = np.random.SeedSequence((self.recipe.seed, *position)).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))

    @torch.inference_mode()
    def evaluate(self, size: int, limit: int | None = None) -> dict[str, Tally]:
        """Count right answers on each test set, at ``size`` pixels, on about ``limit`` evenly spaced pictures of it."""
        model = self.result.eval()
        if self.processes.count > 1:  # batch norms' statistics differ; those of the first process are saved
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)
        tallies = {}
        for pictures in self.sets.tests:
            tallies[pictures.name] = tally = Tally(len(self.sets.classes))
            step = max(len(pictures) // limit, 1) if limit else 1
            rows = np.arange(0, len(pictures), step)[self.processes.rank :: self.processes.count]
            for batch in np.array_split(rows, max(len(rows) // 64, 1)):
                inputs = self._test_inputs(pictures, batch, size)
                with self._autocast():
                    tally.add(model(inputs).float(), torch.from_numpy(pictures.labels[batch]))
            tally.merge()
        return tallies

    def _test_inputs(self, pictures: Pictures, rows: np.ndarray[Any, np.dtype[np.int64]], size: int) -> Tensor:
        pixels = torch.from_numpy(pictures.pixels[rows]).to(self.processes.device).permute(0, 3, 1, 2).float() / 255
        if size != pixels.shape[-1]:
            pixels = nn.functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
        return crops.normalize(pixels).contiguous(memory_format=self.memory_format)

    def state(self) -> dict[str, Any]:
        """All that a run needs to go on as if it had not been interrupted."""
        return {
            "recipe": self.recipe.to_dict(),
            "student": self.student.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": {"epoch": self.epoch, "update": self.update, "loss_sum": self.loss_sum},
            "rows": self.rows,
            "seconds": self.seconds,
            "earlier": self.earlier,
        }

    def start_from(self, files: RunFiles) -> None:
        """Begin with the weights of another run, the head of its second task included, and remember its record."""
        state = files.load_state(self.processes.device)
        if state is None:
            raise InputError("train.no_run", f"expected a run in {files.folder}, found no state")
        self.student.load_state_dict(state["student"])
        record = files.record()
        self.earlier = [*record.pop("earlier", []), record]

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`.

        Raises:
            InputError: the state is of another recipe.
        """
        theirs, progress = Recipe.from_dict(state["recipe"]), state["progress"]
        if not self.recipe.begins_like(theirs, progress["epoch"] + progress["update"] / self.updates_per_epoch):
            ours = self.recipe.to_dict()
            differing = sorted(key for key in ours if state["recipe"].get(key) != ours[key])
            raise InputError(
                "train.other_recipe", f"expected to resume the same recipe, got other values of {', '.join(differing)}"
            )
        self.student.load_state_dict(state["student"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.update, self.loss_sum = (progress[key] for key in ("epoch", "update", "loss_sum"))
        self.rows, self.seconds, self.earlier = state["rows"], state["seconds"], state["earlier"]
        # The schedule is a function of the number of updates, and the optimizer's state holds its latest rate.


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
    parser.add_argument("--teacher", help="a timm model to learn from, or efficientnet-lite0-package")
    parser.add_argument("--teacher-table", type=Path, help="saved logits of a teacher: .safetensors or .npy")
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
