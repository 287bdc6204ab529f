"""Every mixer by name, and how a network builds it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from torch import nn

from lsnet.config import LSNetConfig, MixerName
from lsnet.layers import Residual
from lsnet.mixers.cascaded_attention import CascadedGroupAttention
from lsnet.mixers.contextual import CoT
from lsnet.mixers.frequency_filter import AFF
from lsnet.mixers.involution import Involution
from lsnet.mixers.ls_conv import LKPConv, LSConv
from lsnet.mixers.msa import MSA
from lsnet.mixers.picture_kernels import DCD, CondConv, DYConv, ODConv
from lsnet.mixers.reduced_attention import LinearSRA
from lsnet.mixers.static import RepMixer, StaticConv
from lsnet.mixers.transpose_attention import SDTA
from lsnet.mixers.window_attention import WindowAttention

HEAD_DIM = 32  # channels per head in Swin and PVT v2


class MixerBuilder(Protocol):
    """Builds the mixer of a block: in which network, stage (1 to 4) and place of the stage, an odd index.

    ``drop_path`` is the block's rate of stochastic depth.
    """

    def __call__(self, config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module: ...


def _none(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    return nn.Identity()


def _ls_conv(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    mixer = LSConv if config.ska else LKPConv
    return mixer(config.dims[stage - 1], config.kernel_large, config.kernel_small, config.channels_per_set)


def _small(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    return _ls_conv(replace(config, kernel_large=1), stage, drop_path, index)


def _attention(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    i = stage - 1
    return Residual(MSA(config.dims[i], config.num_heads[i], config.key_dim, config.grid(stage)), drop_path)


def _window(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    dim = config.dims[stage - 1]
    return Residual(WindowAttention(dim, _heads(dim), shifted=index % 4 == 3), drop_path)  # every second odd block


def _lsra(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    dim = config.dims[stage - 1]
    return Residual(LinearSRA(dim, _heads(dim)), drop_path)


def _cga(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    return Residual(CascadedGroupAttention(config.dims[stage - 1], key_dim=config.key_dim), drop_path)


def _sdta(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    return Residual(SDTA(config.dims[stage - 1], scales=stage + 1), drop_path)  # as EdgeNeXt at the same stride


def _aff(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    return Residual(AFF(config.dims[stage - 1]), drop_path)


def _involution(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
    return Involution(config.dims[stage - 1])


def _small_window(mixer: Callable[[int, int], nn.Module]) -> MixerBuilder:
    """Builder of a mixer that is made of channels and K_S."""

    def build(config: LSNetConfig, stage: int, drop_path: float, index: int = 1) -> nn.Module:
        return mixer(config.dims[stage - 1], config.kernel_small)

    return build


def _heads(dim: int) -> int:
    return max(dim // HEAD_DIM, 1)


MIXERS: Mapping[MixerName, MixerBuilder] = {
    "ls": _ls_conv,
    "none": _none,
    "static": _small_window(StaticConv),
    "small": _small,
    "attention": _attention,
    # The paper's table 5.
    "window": _window,
    "sdta": _sdta,
    "lsra": _lsra,
    "repmixer": _small_window(RepMixer),
    "cga": _cga,
    "aff": _aff,
    # Its table 6.
    "condconv": _small_window(CondConv),
    "dyconv": _small_window(DYConv),
    "involution": _involution,
    "dcd": _small_window(DCD),
    "cot": _small_window(CoT),
    "odconv": _small_window(ODConv),
}
