"""A training recipe: everything that decides which weights come out, apart from the pictures."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from lsnet.errors import InputError
from lsnet.tools.crops import Augmentation

DistillMode = Literal["none", "second", "soft", "hard"]
AmpName = Literal["none", "bf16", "fp16"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        model: any timm model name.
        options: further arguments of ``timm.create_model``, such as ``{"mixer": "static"}``.
        phases: (input side in pixels, epochs), one after the other: progressive resolution. A phase may last a fraction
            of an epoch; all together last a whole number.
        batch_size: pictures per update, over all processes.
        opt: a timm optimizer.
        lr, min_lr: greatest and final learning rate: linear warm-up, then held, then a cosine to the end, by update.
        warmup_epochs: length of the warm-up; may be a fraction.
        decay_epochs: length of the cosine; 0 for all that follows the warm-up. Where it is shorter, the rate is held
            between the two, and a run can be made longer or shorter as it goes, before its decay begins.
        weight_decay: not applied to norms, biases and what the model exempts.
        clip_grad: greatest norm of the gradient; 0 for none.
        smoothing: of labels.
        mixup, cutmix: alpha of timm's Mixup; 0 for none.
        ema_decay: of timm's ModelEmaV3; 0 for none.
        scale, ratio, flip, jitter: see :class:`lsnet.tools.crops.Augmentation`.
        distill: ``"none"``; ``"second"``: the teacher's classes as a second task with a head that is dropped
            afterwards; ``"soft"``: the teacher's probabilities for the same classes; ``"hard"``: the teacher's
            decisions for a second head that stays, as in the paper.
        distill_weight: weight of the second task's loss, or share of the soft one.
        temperature: of soft labels.
        amp: autocast data type.
        channels_last: memory layout of pictures and weights.
        compile: whether to run through ``torch.compile``.
        seed: of the initial weights, the order of pictures and their augmentation.
        eval_size: input side at which the result is evaluated, in pixels.
        cache_side: side at which training pictures are kept decoded, in pixels.
    """

    model: str = "lsnet_t"
    options: Mapping[str, Any] = field(default_factory=dict)
    phases: tuple[tuple[int, float], ...] = ((128, 10), (224, 1))
    batch_size: int = 64
    opt: str = "adamw"
    lr: float = 3e-3
    min_lr: float = 1e-5
    warmup_epochs: float = 1.0
    decay_epochs: float = 0.0
    weight_decay: float = 0.05
    clip_grad: float = 1.0
    smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    ema_decay: float = 0.0
    scale: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.2
    distill: DistillMode = "none"
    distill_weight: float = 1.0
    temperature: float = 1.0
    amp: AmpName = "none"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0
    eval_size: int = 224
    cache_side: int = 160

    def __post_init__(self) -> None:
        for item in fields(self):
            value, example = getattr(self, item.name), item.default
            if isinstance(example, bool | int | float | str) and not _alike(value, example):
                raise InputError(
                    "recipe.value", f"expected {item.name} to be a value like {json.dumps(example)}, got {value!r}"
                )
        if not self.phases or any(size < 32 or epochs <= 0 for size, epochs in self.phases):
            raise InputError(
                "recipe.value", f"expected phases of at least 32 pixels and more than 0 epochs, got {self.phases}"
            )
        total = sum(epochs for _, epochs in self.phases)
        if abs(total - round(total)) > 1e-6:
            raise InputError("recipe.value", f"expected phases that add up to whole epochs, got {total}")
        if self.batch_size < 1 or self.lr <= 0:
            raise InputError(
                "recipe.value", f"expected batch_size >= 1 and lr > 0, got {self.batch_size} and {self.lr}"
            )
        if self.warmup_epochs + self.decay_epochs > self.epochs or self.cosine_epochs <= 0:
            raise InputError(
                "recipe.value",
                f"expected warm-up and decay within {self.epochs} epochs, "
                f"got {self.warmup_epochs} and {self.decay_epochs or 'the rest'}",
            )
        for name in ("distill", "amp"):
            choices = {"distill": ("none", "second", "soft", "hard"), "amp": ("none", "bf16", "fp16")}[name]
            if getattr(self, name) not in choices:
                raise InputError("recipe.value", f"expected {name} to be one of {choices}, got {getattr(self, name)!r}")
        self.augmentation()

    @property
    def epochs(self) -> int:
        return round(sum(epochs for _, epochs in self.phases))

    @property
    def mixes(self) -> bool:
        """Whether pictures of a batch are blended."""
        return self.mixup > 0 or self.cutmix > 0

    def size(self, epoch: float) -> int:
        """The input side after so many epochs."""
        end = 0.0
        for size, epochs in self.phases:
            end += epochs
            if epoch < end - 1e-9:
                return size
        raise ValueError(f"expected an epoch below {self.epochs}, got {epoch}")

    @property
    def cosine_epochs(self) -> float:
        """How many epochs the rate falls for."""
        return self.decay_epochs or self.epochs - self.warmup_epochs

    def begins_like(self, other: "Recipe", epochs: float) -> bool:
        """Whether the first ``epochs`` epochs of both recipes are the same."""
        if self == other:
            return True
        if replace(self, phases=other.phases, decay_epochs=other.decay_epochs) != other:
            return False
        held = all(epochs <= recipe.epochs - recipe.cosine_epochs for recipe in (self, other))
        return held and self._phases_until(epochs) == other._phases_until(epochs)

    def _phases_until(self, epochs: float) -> list[tuple[int, float]]:
        """Phases that begin before ``epochs``, and when they end or are cut off."""
        cut, end = [], 0.0
        for size, length in self.phases:
            if end < epochs:
                cut.append((size, min(end + length, epochs)))
            end += length
        return cut

    def augmentation(self) -> Augmentation:
        return Augmentation(self.scale, self.ratio, self.flip, self.jitter)

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """Raises TypeError for an unknown key."""
        lists = {key: tuple(values[key]) for key in ("scale", "ratio") if key in values}
        phases = {"phases": tuple((int(a), float(b)) for a, b in values["phases"])} if "phases" in values else {}
        return cls(**{**values, **lists, **phases})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One option for each field of a recipe, and ``--recipe`` for a JSON file of them."""
    parser.add_argument("--recipe", type=Path, help="JSON file of recipe fields; options given beside it win")
    group = parser.add_argument_group("recipe", "fields of lsnet.tools.recipe.Recipe; complex ones as JSON")
    for item in fields(Recipe):
        flag = "--" + item.name.replace("_", "-")
        group.add_argument(flag, type=_phases if item.name == "phases" else _value, default=None, metavar="VALUE")


def from_arguments(args: argparse.Namespace) -> Recipe:
    """The recipe that ``--recipe`` and the options of :func:`add_arguments` describe."""
    values: dict[str, Any] = json.loads(args.recipe.read_text()) if args.recipe else {}
    given = {item.name: getattr(args, item.name) for item in fields(Recipe)}
    return Recipe.from_dict(values | {name: value for name, value in given.items() if value is not None})


def with_network(words: Sequence[str], model: str, options: Mapping[str, Any]) -> list[str]:
    """Command-line words of a run whose network is settled: other options of it may be given, or lie in its recipe.

    Args:
        words: of the command line, with ``--recipe`` and ``--options`` or without.
        model, options: what is settled.

    Raises:
        InputError: the command line asks for another network.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--model", default=model)
    parser.add_argument("--options", type=_value, default={})
    args, others = parser.parse_known_args(words)
    differing = [name for name in options if args.options.get(name, options[name]) != options[name]]
    if args.model != model or differing:
        raise InputError(
            "recipe.value", f"expected a run of {model} with {json.dumps(dict(options))}: its name says which it is"
        )
    recipe = json.loads(args.recipe.read_text()) if args.recipe else {}
    alike = all(name.startswith("lsnet") for name in (model, recipe.get("model", model)))  # take the same options
    merged = {**(recipe.get("options", {}) if alike else {}), **args.options, **options}
    given = ["--recipe", str(args.recipe)] if args.recipe else []
    return [*given, *others, "--model", model, "--options", json.dumps(merged)]


def _phases(text: str) -> list[list[float]]:
    """``128:9.5,224:0.5`` is nine and a half epochs at 128 pixels, then half of one at 224."""
    phases = [[float(number) for number in phase.split(":")] for phase in text.split(",")]
    if any(len(phase) != 2 for phase in phases):
        raise argparse.ArgumentTypeError(f"expected SIZE:EPOCHS,…, such as 128:9.5,224:0.5; got {text!r}")
    return phases


def _alike(value: Any, example: bool | int | float | str) -> bool:
    """Whether a value is of an example's type; a whole number is a float too, and a truth value is no number."""
    if isinstance(example, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(example)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
