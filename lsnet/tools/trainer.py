"""The trainer: a network, what updates it, and how far it has come.

Everything random about an update (which pictures, their crops, dropped paths) is drawn from its number and the seed, so
that an interrupted run that resumes ends with the same weights, and several processes see the batches of one.
"""

import time
from contextlib import AbstractContextManager, nullcontext
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
from lsnet.tools.data import Pictures
from lsnet.tools.metrics import Tally
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import Recipe
from lsnet.tools.run_files import RunFiles
from lsnet.tools.sets import Sets

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
        if recipe.distill in ("soft", "hard") and self._teacher_classes() != len(sets.classes):
            raise InputError(
                "train.teacher",
                f"expected a teacher of the same {len(sets.classes)} classes for distill={recipe.distill!r}, "
                f"got one of {self._teacher_classes()}; distill='second' takes any",
            )
        student: nn.Module = self.network
        if recipe.distill == "second":
            student = distill.WithSecondTask(student, self._teacher_classes())
        memory_format = _memory_format(recipe, device)
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


def _memory_format(recipe: Recipe, device: torch.device) -> torch.memory_format:
    """The layout that a recipe asks for, where torch computes right in it.

    On CPUs that compute in bfloat16, the weights' gradient of a strided depthwise convolution of a single pixel holds
    whatever was in memory before, in this layout alone (seen with torch 2.12.1). Pictures of 32 pixels come to that.
    """
    broken = device.type == "cpu" and recipe.amp == "bf16" and min(size for size, _ in recipe.phases) <= 32
    return torch.channels_last if recipe.channels_last and not broken else torch.contiguous_format
