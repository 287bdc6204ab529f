"""The kernels of every LS block on a picture, before and after the group norm that they pass through."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lsnet.errors import InputError
from lsnet.mixers import LKP, LSConv
from lsnet.model import LSNet


@dataclass(frozen=True)
class Kernels:
    """The kernels of an LS block on one picture.

    Attributes:
        raw: (G, K*K, h, w), as perception predicts them and the group norm reads them.
        used: (G, K*K, h, w), as the aggregation uses them.
    """

    raw: Tensor
    used: Tensor


@contextmanager
def recorded_kernels(model: LSNet) -> Iterator[dict[str, Kernels]]:
    """Record the kernels of every LS block, by name, while the context lasts; of a batch, those of the first picture.

    The last forward pass wins.
    """
    record: dict[str, Kernels] = {}
    handles = []
    try:
        for name, _, perception in perceptions(model):
            raw: list[Tensor] = []
            handles.append(perception.norm.register_forward_pre_hook(partial(_keep_raw, raw)))
            handles.append(perception.register_forward_hook(partial(_keep_used, record, name, raw)))
        yield record
    finally:
        for handle in handles:
            handle.remove()


def perceptions(model: LSNet) -> list[tuple[str, int, LKP]]:
    """Name of every LS block, pixels per token, and the module that predicts its kernels.

    Raises:
        InputError: there is none.
    """
    found = [
        (name, model.config.stride(stage), block.mixer.lkp)
        for name, stage, block in model.named_blocks()
        if isinstance(block.mixer, LSConv)
    ]
    if not found:
        raise InputError("data.no_kernels", "this network has no LS convolutions, so it has no kernels to study")
    return found


@torch.no_grad()
def kernels_of(model: LSNet, picture: Tensor) -> dict[str, Kernels]:
    """The kernels of every LS block on a normalized picture (3, H, W)."""
    parameter = next(model.parameters())
    with recorded_kernels(model) as record:
        model(picture[None].to(parameter.device, parameter.dtype))
    return record


def _keep_raw(raw: list[Tensor], norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
    raw[:] = [arguments[0][0].detach().float().cpu()]


def _keep_used(
    record: dict[str, Kernels], name: str, raw: list[Tensor], perception: nn.Module, arguments: object, kernels: Tensor
) -> None:
    used = kernels[0].detach().float().cpu()  # (G, K*K, h, w)
    record[name] = Kernels(raw[0].view_as(used), used)
