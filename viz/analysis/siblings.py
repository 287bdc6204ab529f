"""Networks that differ in their mixer alone: where they come from, and what is measured of them."""

import csv
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

from lsnet.complexity import counted_cost
from lsnet.config import STEM_STRIDE, MixerName
from lsnet.labels import imagenet_labels
from lsnet.predictor import Predictor
from lsnet.registry import create_lsnet
from lsnet.tools.timing import compare
from lsnet.weights import BUNDLED_DIR, IMAGENET_LABEL_SET, WeightsCard, bundled_names, weights_label
from viz.results import Array
from viz.results.comparison import Accuracy, Network

FAMILY = "lsnet_n"
SEED = 0  # of untrained weights


def siblings(
    mixers: Sequence[MixerName], load: Callable[[str], Predictor], like: Predictor
) -> dict[MixerName, Predictor]:
    """One network for each mixer, framing pictures as ``like`` does: all bundled, or else all untrained.

    Args:
        mixers: keys of :data:`lsnet.mixers.MIXERS`.
        load: gives bundled networks by source.
        like: another network.
    """
    names = {mixer: FAMILY if mixer == "ls" else f"{FAMILY}_{mixer}" for mixer in mixers}
    bundled = set(names.values()) <= set(bundled_names())
    found = {mixer: load(f"bundled/{name}") if bundled else untrained(mixer, like) for mixer, name in names.items()}
    return {mixer: one.framed(like.preprocess.size, like.preprocess.mode) for mixer, one in found.items()}


def untrained(mixer: MixerName, like: Predictor) -> Predictor:
    """A network with random weights, always the same ones, on the device and with the preprocessing of ``like``."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(SEED)
        model = create_lsnet(FAMILY, mixer=mixer)
    card = WeightsCard(
        FAMILY,
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
    cell = STEM_STRIDE
    means = F.avg_pool2d(products, cell, ceil_mode=True, divisor_override=1)  # the divisor makes them sums
    return means[0, 0].numpy()


def measured(networks: Mapping[MixerName, Predictor], picture: Image.Image) -> list[Network]:
    """Predictions for a picture, size, cost, time and accuracy; the timed forward passes take turns."""
    batches = {mixer: predictor.batch(picture) for mixer, predictor in networks.items()}

    def run(mixer: MixerName) -> Callable[[], object]:
        return lambda: networks[mixer].model(batches[mixer])

    with torch.inference_mode():
        timings = compare("", {mixer: run(mixer) for mixer in networks}, baseline=next(iter(networks)), seconds=0)
    times = {timing.name: timing.median_ms for timing in timings}
    known = zoo_accuracy()
    facts = []
    for mixer, predictor in networks.items():
        cost = counted_cost(predictor.model, tuple(batches[mixer].shape))
        probabilities, classes = predictor.logits(picture).softmax(0).topk(min(3, len(predictor.classes)))
        labels = [predictor.classes[i] for i in classes.tolist()]
        facts.append(
            Network(
                weights=weights_label(predictor.card),
                trained=predictor.card.trained,
                top=tuple(({"en": c.en, "zh": c.zh}, p) for c, p in zip(labels, probabilities.tolist(), strict=True)),
                parameters=cost.parameters,
                macs=cost.macs,
                milliseconds=times[mixer],
                accuracy=known.get(mixer, ()) if predictor.card.trained else (),
            )
        )
    return facts


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
    pictures = int(float(runs[0][f"{name} pictures"]))
    return Accuracy(name, statistics.mean(rates), low, high, len(runs), pictures)
