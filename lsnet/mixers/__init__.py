"""Token mixers: LSNet's own, and those that it is compared with.

Every mixer of :data:`MIXERS` maps (B, C, H, W) to (B, C, H, W), residual connection included, on grids of any size.
Attribute names such as ``cv1`` or ``m`` are keys of the released checkpoints and stay as they are. What a mixer lets
be seen, it declares as :mod:`lsnet.mixers.taps` says.
"""

from lsnet.mixers.builders import MIXERS, MixerBuilder
from lsnet.mixers.cascaded_attention import CascadedGroupAttention
from lsnet.mixers.contextual import CoT
from lsnet.mixers.frequency_filter import AFF
from lsnet.mixers.involution import Involution
from lsnet.mixers.ls_conv import LKP, SKA, LKPConv, LSConv
from lsnet.mixers.msa import MSA, relative_offsets, resize_bias_table
from lsnet.mixers.picture_kernels import DCD, CondConv, DYConv, ODConv, PictureConv
from lsnet.mixers.reduced_attention import LinearSRA
from lsnet.mixers.static import RepMixer, RepVggDw, StaticConv
from lsnet.mixers.taps import BlockKind, Mixer, Side, Tap, kind_of, taps_of, windows_of
from lsnet.mixers.transpose_attention import SDTA
from lsnet.mixers.window_attention import WindowAttention

__all__ = [
    "AFF",
    "DCD",
    "LKP",
    "MIXERS",
    "MSA",
    "SDTA",
    "SKA",
    "BlockKind",
    "CascadedGroupAttention",
    "CoT",
    "CondConv",
    "DYConv",
    "Involution",
    "LKPConv",
    "LSConv",
    "LinearSRA",
    "Mixer",
    "MixerBuilder",
    "ODConv",
    "PictureConv",
    "RepMixer",
    "RepVggDw",
    "Side",
    "StaticConv",
    "Tap",
    "WindowAttention",
    "kind_of",
    "relative_offsets",
    "resize_bias_table",
    "taps_of",
    "windows_of",
]
