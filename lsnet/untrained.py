"""Networks with random weights, by name: every variant of the paper's tables 5 to 8, and the transplants of table 9.

A name is a model's, followed by options where they differ from the model's own, in any order:
``"lsnet_t"``, ``"lsnet_n?mixer=involution"``, ``"lsnet_t?kernel_large=5&kernel_small=1"``, ``"ls_resnet50"``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import parse_qsl

import timm
from torch import nn

from lsnet.config import VARIANTS, LSNetConfig, MixerName
from lsnet.errors import InputError
from lsnet.seeding import seeded

Value = str | int | bool

# What a name may choose: the values of tables 5 to 8 and of this project's own comparisons.
OPTIONS: Mapping[str, tuple[Value, ...]] = {
    "mixer": get_args(MixerName),
    "kernel_large": (1, 3, 5, 7, 9),
    "kernel_small": (1, 3, 5),
    "channels_per_set": (1, 4, 8, 16, 32),
    "ska": (True, False),
    "dw": (True, False),
    "se": (True, False),
}

# The mixers that an option changes; one that is not here changes every network.
CHANGES: Mapping[str, tuple[MixerName, ...]] = {
    "kernel_large": ("ls",),
    "kernel_small": ("ls", "small", "static", "repmixer", "condconv", "dyconv", "dcd", "cot", "odconv"),
    "channels_per_set": ("ls", "small"),
    "ska": ("ls", "small"),
}

# Table 9. The vision transformer takes other sizes than its own too, by interpolated position embeddings.
TRANSPLANTS: Mapping[str, Mapping[str, bool]] = {
    "ls_resnet50": {},
    "ls_deit_tiny": {"dynamic_img_size": True, "dynamic_img_pad": True},
}

SEED = 0  # the same random weights everywhere


@dataclass(frozen=True)
class Variant:
    """A network to be built.

    Attributes:
        architecture: timm model name: one of LSNet's, or one of :data:`TRANSPLANTS`.
        options: of :data:`OPTIONS`, those that differ from the model's own.

    Raises:
        InputError: there is no such model, option or value, or two choices contradict each other.
    """

    architecture: str
    options: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [*timm.list_models("lsnet_*"), *TRANSPLANTS]
        if self.architecture not in known:
            names = ", ".join(known)
            message = f"there is no model called {self.architecture!r}; known are {names}"
            raise InputError("weights.unknown", message, name=self.architecture, known=names)
        if self.architecture in TRANSPLANTS and self.options:
            message = f"{self.architecture} has no options; only LSNet's variants have"
            raise InputError("variant.no_options", message, name=self.architecture)
        for option, value in self.options.items():
            _check(option, value)
        own = {} if self.architecture in TRANSPLANTS else _own(self.architecture)
        chosen = {option: value for option, value in self.options.items() if value != own[option]}
        object.__setattr__(self, "options", {option: chosen[option] for option in OPTIONS if option in chosen})
        mixer = str(chosen.get("mixer", "ls"))
        for option in chosen:
            if mixer not in CHANGES.get(option, OPTIONS["mixer"]):
                message = f"{option} is no option of the mixer {mixer!r}; leave it out, or choose another mixer"
                raise InputError("variant.unused", message, option=option, mixer=mixer)
        self._check_channels()

    @classmethod
    def read(cls, name: str) -> "Variant":
        """The variant of a name; see the module.

        Raises:
            InputError: see :class:`Variant`.
        """
        architecture, _, query = name.partition("?")
        given = parse_qsl(query, keep_blank_values=True)
        return cls(architecture, {option: _value(option, text) for option, text in given})

    @property
    def name(self) -> str:
        """The name that :meth:`read` reads, options in one order."""
        options = "&".join(f"{option}={_text(value)}" for option, value in self.options.items())
        return f"{self.architecture}?{options}" if options else self.architecture

    def build(self) -> nn.Module:
        """The network in evaluation mode, on the CPU, with random weights that are always the same."""
        with seeded(SEED):
            options: dict[str, Any] = {**TRANSPLANTS.get(self.architecture, {}), **self.options}
            model = timm.create_model(self.architecture, **options)
        return model.eval()

    def _check_channels(self) -> None:
        per_set = self.options.get("channels_per_set")
        if per_set is None:
            return
        base = VARIANTS[_size_of(self.architecture)]
        if per_set not in fitting_sets(base):
            values = ", ".join(map(str, fitting_sets(base)))
            message = f"{self.architecture} has {base.dims} channels, which fit sets of {values}; got {per_set}"
            raise InputError("variant.channels", message, name=self.architecture, value=int(per_set), values=values)


def fitting_sets(base: LSNetConfig) -> list[Value]:
    """The channels per kernel set, of those on offer, that a network's channels can be divided into."""
    return [size for size in OPTIONS["channels_per_set"] if not any(dim % (2 * int(size)) for dim in base.dims)]


def _own(architecture: str) -> dict[str, Value]:
    """The options of a model as it is."""
    config = VARIANTS[_size_of(architecture)]
    return {option: getattr(config, option) for option in OPTIONS}


def _size_of(architecture: str) -> str:
    return architecture.split("_")[1]


def _check(option: str, value: Value) -> None:
    if option not in OPTIONS:
        known = ", ".join(OPTIONS)
        raise InputError(
            "variant.option", f"there is no option {option!r}; known are {known}", option=option, known=known
        )
    if value not in OPTIONS[option] or type(value) is not type(OPTIONS[option][0]):
        known = ", ".join(map(_text, OPTIONS[option]))
        message = f"expected {option} to be one of {known}, got {_text(value)!r}"
        raise InputError("variant.value", message, option=option, value=_text(value), known=known)


def _value(option: str, text: str) -> Value:
    """A value as a name writes it; what is not among the option's stays text, to be refused as such."""
    return next((value for value in OPTIONS.get(option, ()) if _text(value) == text), text)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
