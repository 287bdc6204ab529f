"""Networks that differ in their mixer alone: where they come from, and what is measured of them."""

import csv
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from lsnet.complexity import Cost, model_cost
from lsnet.config import STEM_STRIDE
from lsnet.labels import imagenet_labels
from lsnet.predictor import Predictor
from lsnet.registry import create_lsnet
from lsnet.seeding import seeded
from lsnet.weights import (
    BUNDLED_DIR,
    IMAGENET_LABEL_SET,
    ZOO_FAMILY,
    WeightsCard,
    bundled_names,
    weights_label,
    zoo_name,
)
from viz.progress import Progress, silent
from viz.results import Array
from viz.results.comparison import Accuracy, ComparedMixer, Network

SEED = 0  # of untrained weights
ROUNDS = 5  # timed forward passes of each network


def siblings(
    mixers: Sequence[ComparedMixer], load: Callable[[str], Predictor], like: Predictor
) -> dict[ComparedMixer, Predictor]:
    """One network for each mixer, framing pictures as ``like`` does: all bundled, or else all untrained.

    Args:
        mixers: what they mix tokens with.
        load: gives bundled networks by source.
        like: another network.
    """
    names = {mixer: zoo_name(mixer) for mixer in mixers}
    bundled = set(names.values()) <= set(bundled_names())
    found = {mixer: load(f"bundled/{name}") if bundled else untrained(mixer, like) for mixer, name in names.items()}
    return {mixer: one.framed(like.preprocess.size, like.preprocess.mode) for mixer, one in found.items()}


def untrained(mixer: ComparedMixer, like: Predictor) -> Predictor:
    """A network with random weights, always the same ones, on the device and with the preprocessing of ``like``."""
    with seeded(SEED):
        model = create_lsnet(ZOO_FAMILY, mixer=mixer)
    card = WeightsCard(
        ZOO_FAMILY,
        options={"mixer": mixer},
        classes=imagenet_labels(),
        label_set=IMAGENET_LABEL_SET,
        trained=False,
        source=f"mixer {mixer}",
    )
    return Predictor(model.eval().to(like.device), like.preprocess, card, like.device)


def gradient_times_input(predictor: Predictor, picture: Image.Image) -> Array:
    """Gradient × input of the network's most probable class, summed over channels and over cells of 8 × 8 pixels.

    The input is the normalised one, so that a product is measured from the mean colour. The network is not changed.

    Returns:
        (⌈H/8⌉, ⌈W/8⌉), signed, in units of the logit.
    """
    batch = predictor.batch(picture).requires_grad_()
    with torch.enable_grad():
        logit = predictor.model(batch)[0].max()
    (gradient,) = torch.autograd.grad(logit, batch)
    products = (gradient * batch).sum(1, keepdim=True).detach().float().cpu()  # (1, 1, H, W)
    sums = F.avg_pool2d(products, STEM_STRIDE, ceil_mode=True, divisor_override=1)  # the divisor makes them sums
    return sums[0, 0].numpy()


def measured(
    networks: Mapping[ComparedMixer, Predictor], picture: Image.Image, progress: Progress = silent
) -> list[Network]:
    """Predictions for a picture, size, cost, time and accuracy of each network.

    Args:
        networks: by mixer; each has already seen a picture of this size, so that nothing is compiled any more.
        picture: upright RGB.
        progress: told the share of timed forward passes that are done.
    """
    batches = {mixer: predictor.batch(picture) for mixer, predictor in networks.items()}
    times = _medians({mixer: (networks[mixer].model, batch) for mixer, batch in batches.items()}, progress)
    known = zoo_accuracy()
    facts = []
    for mixer, predictor in networks.items():
        height, width = batches[mixer].shape[2:]
        cost = sum(model_cost(predictor.lsnet.config, (height, width)).values(), Cost())
        probabilities, classes = predictor.logits(picture).softmax(0).topk(min(3, len(predictor.classes)))
        labels = [predictor.classes[i] for i in classes.tolist()]
        facts.append(
            Network(
                weights=weights_label(predictor.card),
                top=tuple(({"en": c.en, "zh": c.zh}, p) for c, p in zip(labels, probabilities.tolist(), strict=True)),
                parameters=cost.parameters,
                macs=cost.macs,
                milliseconds=times[mixer],
                accuracy=known.get(mixer, ()) if predictor.card.trained else (),
            )
        )
    return facts


@torch.inference_mode()
def _medians(
    models: Mapping[ComparedMixer, tuple[nn.Module, Tensor]], progress: Progress
) -> dict[ComparedMixer, float]:
    """Median milliseconds of forward passes; models take turns, so that a noisy machine is noisy for all of them."""
    runs: dict[ComparedMixer, list[float]] = {mixer: [] for mixer in models}
    for turn in range(ROUNDS):
        for done, (mixer, (model, batch)) in enumerate(models.items(), start=1):
            start = time.perf_counter()
            model(batch).cpu()  # waits for the device
            runs[mixer].append((time.perf_counter() - start) * 1e3)
            progress((turn + done / len(models)) / ROUNDS)
    return {mixer: statistics.median(values) for mixer, values in runs.items()}


def zoo_accuracy(path: Path = BUNDLED_DIR / "zoo.csv") -> dict[str, tuple[Accuracy, ...]]:
    """Top-1 accuracy of every mixer on every held-out set, as :mod:`lsnet.tools.zoo` measured it; empty without it."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sets = [key.removesuffix(" accuracy") for key in (rows[0] if rows else {}) if key.endswith(" accuracy")]
    mixers = dict.fromkeys(row["mixer"] for row in rows)
    return {
        mixer: tuple(_accuracy(name, [row for row in rows if row["mixer"] == mixer]) for name in sets)
        for mixer in mixers
    }


def _accuracy(name: str, runs: Sequence[Mapping[str, str]]) -> Accuracy:
    """One seed has its own interval; of several, the lowest and highest are told."""
    rates = [float(run[f"{name} accuracy"]) for run in runs]
    low, high = min(rates), max(rates)
    if len(runs) == 1:
        low, high = float(runs[0][f"{name} low"]), float(runs[0][f"{name} high"])
    pictures, size = int(float(runs[0][f"{name} pictures"])), int(runs[0]["size"])
    return Accuracy(name, statistics.mean(rates), low, high, len(runs), pictures, size)
