"""Where weights come from: bundled files, a local file, the Hub. Nothing in a file is ever executed."""

import argparse
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub
import safetensors
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from lsnet.config import VARIANTS, LSNetConfig
from lsnet.errors import InputError
from lsnet.labels import Label, imagenet_labels, numbered_labels
from lsnet.preprocess import Preprocess
from lsnet.registry import HUB_REPOSITORIES
from lsnet.seeding import seeded
from lsnet.untrained import TRANSPLANTS, Variant

BUNDLED_DIR = Path(__file__).resolve().parent.parent / "assets" / "weights"
DEFAULT_BUNDLED = "lsnet_t"
ZOO_FAMILY = "lsnet_n"  # whose bundled weights differ in the mixer alone
HUB_FILE = "pytorch_model.bin"

# What a card may ask of timm.
LSNET_OPTIONS = {item.name for item in fields(LSNetConfig)} - {"num_classes"}
TRANSPLANT_OPTIONS = {"img_size", "drop_rate", "drop_path_rate"}

IMAGENET_LABEL_SET = {"en": "ImageNet-1k", "zh": "ImageNet-1k"}
UNNAMED_LABEL_SET = {"en": "unnamed classes", "zh": "未命名的类别"}


@dataclass(frozen=True)
class WeightsCard:
    """What a set of weights says about itself.

    Attributes:
        architecture: timm model name, such as ``"lsnet_t"``.
        options: further arguments of ``timm.create_model``: of an LSNet, fields of
            :class:`lsnet.config.LSNetConfig` other than ``num_classes``.
        classes: what each logit stands for.
        label_set: name of that set of classes, by language (``"en"``, ``"zh"``).
        preprocess: the transform that the weights were evaluated with.
        trained: False for random initialization.
        training: data, recipe, command, seed, accuracy: whatever the training tool recorded.
        source: where the weights were read from: ``"bundled/lsnet_t"``, a Hub repository or a file name.
    """

    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[Label, ...] = ()
    label_set: Mapping[str, str] = field(default_factory=lambda: UNNAMED_LABEL_SET)
    preprocess: Preprocess = field(default_factory=Preprocess)
    trained: bool = True
    training: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "WeightsCard":
        """Raises ValueError, TypeError or KeyError where the text is not such a card."""
        values = json.loads(text)
        preprocess = values["preprocess"]
        values["preprocess"] = Preprocess(**preprocess | {k: tuple(preprocess[k]) for k in ("mean", "std")})
        values["classes"] = tuple(Label(**label) for label in values["classes"])
        return cls(**values)


def bundled_names() -> list[str]:
    """Names of the weights in the repository, the default first."""
    names = sorted(path.stem for path in BUNDLED_DIR.glob("*.safetensors"))
    return sorted(names, key=lambda name: name != DEFAULT_BUNDLED)


def zoo_name(mixer: str) -> str:
    """What a mixer's weights in the zoo are called among the bundled ones: ``"lsnet_n"``, ``"lsnet_n_static"``."""
    return ZOO_FAMILY if mixer == "ls" else f"{ZOO_FAMILY}_{mixer}"


def load_model(source: str | Path) -> tuple[nn.Module, WeightsCard]:
    """Build the network that a source describes and load its weights, strictly, on the CPU, in evaluation mode.

    Args:
        source: ``"bundled"`` for the default in the repository and ``"bundled/<name>"`` for another one there;
            ``"untrained/<model>"`` for random weights, with options where they are wanted
            (:mod:`lsnet.untrained`: ``"untrained/lsnet_t?mixer=involution"``); a model name such as
            ``"lsnet_b_distill"`` for the authors' weights from the Hub (downloaded once, then cached); or the path of
            a ``.safetensors``, ``.pth``, ``.pt`` or ``.bin`` file. Where nothing is bundled, ``"bundled"`` is
            ``"untrained/lsnet_t"``.

    Raises:
        InputError: the source cannot be used; one sentence says what is wrong and what to do.
    """
    name = str(source)
    if name == "bundled":
        name = f"bundled/{DEFAULT_BUNDLED}" if DEFAULT_BUNDLED in bundled_names() else f"untrained/{DEFAULT_BUNDLED}"
    if name.startswith("untrained/"):
        return _untrained(name.removeprefix("untrained/"))
    if name.startswith("bundled/"):
        return _bundled(name)
    if name in HUB_REPOSITORIES:
        return _from_hub(name)
    path = Path(source)
    if not path.suffix and "/" not in name:
        raise _unknown(name, HUB_REPOSITORIES)
    return load_file(path)


def load_file(path: Path) -> tuple[nn.Module, WeightsCard]:
    """Load a weights file of this project or of the authors; see :func:`load_model`."""
    state, card = read_state(path)
    card = replace(card or _describe(state, path.name), source=path.name)
    return _assemble(state, card), card


def save_weights(path: Path, model: nn.Module, card: WeightsCard, dtype: torch.dtype | None = None) -> None:
    """Write a network and its card to a ``.safetensors`` file.

    With a ``dtype``, floating-point tensors are written in it, and integers, such as the offsets that attention biases
    are looked up by, in 16 bits where they fit.
    """

    def written(value: Tensor) -> Tensor:
        if dtype is not None and value.is_floating_point():
            value = value.to(dtype)
        elif dtype is not None and value.dtype is torch.int64 and (value == value.to(torch.int16)).all():
            value = value.to(torch.int16)
        return value.contiguous().cpu()

    state = {name: written(value) for name, value in model.state_dict().items()}
    safetensors.torch.save_file(state, path, metadata={"lsnet": card.to_json()})


def read_state(path: Path) -> tuple[dict[str, Tensor], WeightsCard | None]:
    """Tensors by name, and the card where the file carries one. Executes nothing from the file.

    Accepts a bare state dict, or one under ``model_ema``, ``model`` or ``state_dict``, or a detection checkpoint's
    ``backbone.`` part.

    Raises:
        InputError: there is no such file, or it is not a readable weights file.
    """
    if not path.is_file():
        raise InputError("weights.not_found", f"there is no weights file called {path.name!r}", name=path.name)
    card = None
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            card = WeightsCard.from_json(metadata["lsnet"]) if "lsnet" in metadata else None
        else:
            # Training checkpoints often keep their command line beside the weights; a Namespace holds plain data.
            with torch.serialization.safe_globals([argparse.Namespace]):
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every way in which a damaged or hostile file can fail to parse
        raise InputError(
            "weights.unreadable",
            f"{path.name!r} is not a readable weights file: it is truncated, or holds more than plain tensors; "
            "save the state dict again, best as .safetensors",
            name=path.name,
        ) from error
    return _unwrap(state, path.name), card


def _unwrap(state: object, name: str) -> dict[str, Tensor]:
    for key in ("model_ema", "model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError("weights.no_state", f"{name!r} holds no state dict of tensors", name=name)
    tensors = {str(key).removeprefix("module."): value for key, value in state.items()}
    backbone = {k.removeprefix("backbone."): v for k, v in tensors.items() if k.startswith("backbone.")}
    return backbone or tensors


def _describe(state: Mapping[str, Tensor], name: str) -> WeightsCard:
    """Recognize the architecture of a state dict without a card by the shapes in it."""
    stem = state.get("patch_embed.4.c.weight")
    variant = next(
        (
            key
            for key, config in VARIANTS.items()
            if stem is not None and stem.shape[0] == config.dims[0] and _depths(state) == config.depths
        ),
        None,
    )
    if stem is None or variant is None:
        raise InputError(
            "weights.not_lsnet",
            f"the weights in {name!r} are not those of an LSNet (T, S, B or N, unfused)",
            name=name,
        )
    head = state.get("head.l.weight")
    num_classes = 0 if head is None else head.shape[0]
    options: dict[str, Any] = {"in_chans": state["patch_embed.0.c.weight"].shape[1]}
    biases = next((value for key, value in state.items() if key.endswith("attention_biases")), None)
    if biases is not None:
        options["img_size"] = _native_size(round(biases.shape[1] ** 0.5))
    distilled = "head_dist.l.weight" in state
    is_imagenet = num_classes == 1000
    return WeightsCard(
        architecture=f"lsnet_{variant}{'_distill' if distilled else ''}",
        options=options,
        classes=imagenet_labels() if is_imagenet else numbered_labels(num_classes),
        label_set=IMAGENET_LABEL_SET if is_imagenet else UNNAMED_LABEL_SET,
    )


def _native_size(side: int) -> int:
    """An input size whose stage-4 grid is side × side; 224 for the released 4 × 4."""
    return 224 if side == 4 else 64 * side


def _depths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Blocks per stage, counted by their first FFN weight."""
    return tuple(
        sum(key.startswith(f"blocks{stage}.") and key.endswith(".ffn.m.pw1.c.weight") for key in state)
        for stage in (1, 2, 3, 4)
    )


def _assemble(state: Mapping[str, Tensor], card: WeightsCard) -> nn.Module:
    """Build the card's network and load the state key for key."""
    name = card.source
    head = state.get("head.l.weight")
    if head is not None and len(card.classes) != head.shape[0]:
        raise InputError(
            "weights.class_count",
            f"{name!r} names {len(card.classes)} classes but has {head.shape[0]} logits",
            name=name,
            classes=len(card.classes),
            logits=head.shape[0],
        )
    model = _described(card)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        missing = sorted(set(model.state_dict()) ^ set(state))
        what = f"first difference at {missing[0]!r}" if missing else "a tensor has another shape"
        raise InputError(
            "weights.mismatch",
            f"the weights in {name!r} do not fit {card.architecture}: {what}",
            name=name,
            architecture=card.architecture,
        ) from error
    return model.eval()


def _described(card: WeightsCard) -> nn.Module:
    """The network that a card describes. Of its options only known ones reach timm: it is a file's word."""
    name, transplant = card.source, TRANSPLANTS.get(card.architecture, {})
    lsnet = card.architecture in {*HUB_REPOSITORIES, *(f"lsnet_{variant}" for variant in VARIANTS)}
    fitting = LSNET_OPTIONS if lsnet else {*transplant, *TRANSPLANT_OPTIONS}
    if not (lsnet or card.architecture in TRANSPLANTS) or not card.options.keys() <= fitting:
        raise InputError(
            "weights.not_lsnet", f"{name!r} holds {card.architecture}, which is no network of this project", name=name
        )
    try:
        with seeded(0):
            return timm.create_model(card.architecture, num_classes=len(card.classes), **{**transplant, **card.options})
    except (TypeError, ValueError) as error:
        raise InputError("weights.unreadable", f"{name!r} describes no network: {error}", name=name) from error


def _bundled(source: str) -> tuple[nn.Module, WeightsCard]:
    name = source.removeprefix("bundled/")
    if name not in bundled_names():  # also keeps "../" out of the path
        known = ", ".join(bundled_names()) or "none"
        raise InputError(
            "weights.not_bundled",
            f"no weights called {name!r} are bundled; bundled are: {known}",
            name=name,
            known=known,
        )
    model, card = load_file(BUNDLED_DIR / f"{name}.safetensors")
    return model, replace(card, source=source)


def _unknown(name: str, known: Iterable[str]) -> InputError:
    names = ", ".join(known)
    message = f"there is no model called {name!r}; known are {names}, or give a file"
    return InputError("weights.unknown", message, name=name, known=names)


def _untrained(name: str) -> tuple[nn.Module, WeightsCard]:
    variant = Variant.read(name)
    card = WeightsCard(
        variant.architecture,
        options=variant.options,
        classes=imagenet_labels(),
        label_set=IMAGENET_LABEL_SET,
        trained=False,
        source=f"untrained/{variant.name}",
    )
    return variant.build(), card


def _from_hub(architecture: str) -> tuple[nn.Module, WeightsCard]:
    repository = HUB_REPOSITORIES[architecture]
    try:
        path = huggingface_hub.try_to_load_from_cache(repository, HUB_FILE)  # asks the network nothing
        if not isinstance(path, str):
            _find_hub()
            path = huggingface_hub.hf_hub_download(repository, HUB_FILE)
    except Exception as error:  # the Hub's own, and whatever its transport raises when a download breaks off
        raise InputError(
            "weights.no_network",
            f"the weights of {architecture} could not be fetched from the Hugging Face Hub ({repository}): "
            "check the network, or give a file that you have",
            name=architecture,
            repository=repository,
        ) from error
    model, card = load_file(Path(path))
    return model, replace(card, source=repository)


def _find_hub() -> None:
    """Ask for the Hub's address before its client does, which tries for half a minute where there is no network.

    Raises:
        OSError: there is none by that name. Behind a proxy, which asks itself, there may be no names at all.
    """
    if not getproxies().keys() - {"no"}:  # which hosts need none is no proxy
        socket.getaddrinfo(urlsplit(huggingface_hub.constants.ENDPOINT).hostname, None)


def weights_label(card: WeightsCard) -> str:
    """One line that names the weights in a figure: architecture, source, and whether they are trained."""
    return f"{card.architecture} · {card.source}{'' if card.trained else ' · untrained'}"


def known_sources() -> Iterable[str]:
    """Sources that the interface lists: bundled ones, the authors' on the Hub, untrained networks as they are."""
    bundled = [f"bundled/{name}" for name in bundled_names()]
    untrained = [*(f"lsnet_{variant}" for variant in VARIANTS), *TRANSPLANTS]
    return [*bundled, *HUB_REPOSITORIES, *(f"untrained/{name}" for name in untrained)]
