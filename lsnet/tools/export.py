"""From a run to weights that describe themselves."""

import json
import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lsnet.labels import Label
from lsnet.model import LSNet
from lsnet.preprocess import Preprocess
from lsnet.tools.results import origin
from lsnet.weights import BUNDLED_DIR, WeightsCard, save_weights

if TYPE_CHECKING:
    from lsnet.tools.trainer import Trainer

CLASS_NAMES = BUNDLED_DIR / "class_names.json"


@cache
def _class_names() -> dict[str, dict[str, str]]:
    return json.loads(CLASS_NAMES.read_text(encoding="utf-8")) if CLASS_NAMES.exists() else {}


def labels(classes: tuple[str, ...]) -> tuple[Label, ...]:
    """Folder names as labels, with the names that people use where ``class_names.json`` has them."""
    known = _class_names()
    plain = {name: {"en": name.replace("_", " "), "zh": name.replace("_", " ")} for name in classes}
    return tuple(Label(name, **(known.get(name) or plain[name])) for name in classes)


def label_set(classes: tuple[str, ...]) -> dict[str, str]:
    """What a set of classes that this tool trained is called wherever its predictions are shown."""
    count = len(classes)
    if not set(classes) <= set(_class_names()):
        return {"en": f"{count} classes of its training pictures", "zh": f"训练图片的 {count} 个类别"}
    return {
        "en": f"{count} everyday classes, trained for this demo",
        "zh": f"{count} 个日常类别，为本演示训练",
    }


def training_record(trainer: "Trainer", results: Mapping[str, Any], command: str) -> dict[str, Any]:
    """What is said about a training inside its weights."""
    sets = trainer.sets
    return {
        "data": [
            {"name": part.name, "training_pictures": len(part), "skipped": list(part.broken)} for part in sets.training
        ],
        "test_data": [{"name": part.name, "pictures": len(part), "skipped": list(part.broken)} for part in sets.tests],
        "recipe": trainer.recipe.to_dict(),
        "teacher": trainer.teacher_name,
        "command": command,
        "versions": origin(command)["versions"],
        "seed": trainer.recipe.seed,
        "epochs": trainer.epoch,
        "minutes": round(trainer.seconds / 60, 1),
        "machine": _machine(trainer.processes.device, trainer.processes.count),
        "accuracy": dict(results),
        "earlier": trainer.earlier,
    }


def write_weights(path: Path, trainer: "Trainer", record: Mapping[str, Any]) -> None:
    """Save the network with its card."""
    recipe, classes = trainer.recipe, trainer.sets.classes
    options = dict(recipe.options)
    if isinstance(trainer.network, LSNet):
        options["img_size"] = trainer.network.config.img_size
    if recipe.distill == "hard":
        options["distilled"] = True
    card = WeightsCard(
        architecture=recipe.model,
        options=options,
        classes=labels(classes),
        label_set=label_set(classes),
        preprocess=Preprocess(size=recipe.eval_size),
        training=record,
    )
    save_weights(path, trainer.result, card)


def _machine(device: torch.device, processes: int) -> str:
    if device.type == "cuda":
        return f"{processes} × {torch.cuda.get_device_name(device)}"
    return f"{processes} × {torch.get_num_threads()} threads, {platform.machine()}, {os.cpu_count()} CPU cores"
