"""Where a network mixes tokens, and what can be seen there: an LSNet's blocks, the LS convs of another network."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from lsnet.mixers import BlockKind, LSConv, Tap, taps_of
from lsnet.model import Block, LSNet, MixerLabel


@dataclass(frozen=True)
class Site:
    """One place where tokens are mixed.

    Attributes:
        name: of a module in the network, whose output the features are.
        mixer: the token mixer in it, or that module itself.
        label: what it mixes with.
        kind: what can be seen inside.
        taps: what can be recorded of a forward pass, by name; paths are those of the module's submodules.
        stage: 1 to 4 in an LSNet; None in another network, where the grids of a forward pass tell.
        stride: input pixels per token; None in another network.
    """

    name: str
    mixer: nn.Module
    label: MixerLabel
    kind: BlockKind
    taps: Mapping[str, Tap]
    stage: int | None = None
    stride: int | None = None


def sites_of(model: nn.Module) -> list[Site]:
    """All sites of a network, plain or fused, in order of computation as far as modules are registered in it."""
    if isinstance(model, LSNet):
        return [
            Site(name, block.mixer, block.label, block.kind, block.taps, stage, model.config.stride(stage))
            for name, stage, block in model.named_blocks()
        ]
    return [
        Site(name, module, "ls", module.kind, {**taps_of(module, ""), "features": Tap("")})
        for name, module in model.named_modules()
        if isinstance(module, LSConv)
    ]


def mixer_at(model: nn.Module, site: str) -> nn.Module:
    """The token mixer at a site by name.

    Raises:
        AttributeError: the network has no module of that name.
    """
    module = model.get_submodule(site)
    return module.mixer if isinstance(module, Block) else module
