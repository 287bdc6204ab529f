"""LSNet: a stem, four stages of blocks, a classifier."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import SqueezeExcite
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from lsnet import layers
from lsnet.config import STEM_STRIDE, LSNetConfig, MixerName
from lsnet.layers import FFN, ConvNorm, NormLinear, Residual
from lsnet.mixers import MIXERS, BlockKind, RepVggDw, Tap, kind_of, taps_of

# A mixer's name, or "dw" for the depthwise convolution of the blocks of even index.
MixerLabel = MixerName | Literal["dw"]

SE_RATIO = 0.25
FFN_RATIO = 2
UNDECAYED = ("attention_biases", "relative_position_bias_table", "temperature")


class Block(nn.Module):
    """Token mixing, then channel mixing.

    Blocks of even index mix tokens with :class:`RepVggDw` and squeeze-and-excitation; those of odd index with the
    network's mixer in stages 1 to 3 and with self-attention in stage 4.

    Attributes:
        kind: what can be seen inside; it stays when the network is fused.
        label: what tokens are mixed with.

    Source: paper, figure 3 and table 8; the authors' released code.
    """

    kind: BlockKind
    label: MixerLabel

    def __init__(self, config: LSNetConfig, stage: int, index: int, drop_path: float = 0.0) -> None:
        super().__init__()
        dim = config.dims[stage - 1]
        if index % 2 == 0:
            self.mixer: nn.Module = RepVggDw(dim) if config.dw else nn.Identity()
            self.se: nn.Module = SqueezeExcite(dim, SE_RATIO) if config.se else nn.Identity()
            self.label = "dw" if config.dw else "none"
        else:
            self.label = mixer = config.mixer if stage < 4 else "attention"
            self.mixer = MIXERS[mixer](config, stage, drop_path, index)
            self.se = nn.Identity()
        self.kind = kind_of(self.mixer)
        self.ffn = Residual(FFN(dim, FFN_RATIO * dim), drop_path)

    @property
    def taps(self) -> dict[str, Tap]:
        """What can be recorded of a forward pass, by name; paths are those of the block's submodules."""
        return {**taps_of(self.mixer, "mixer"), "features": Tap("")}

    def forward(self, x: Tensor) -> Tensor:
        return self.ffn(self.se(self.mixer(x)))


class LSNet(nn.Module):
    """The network.

    Args:
        cfg: what it is made of.
        **overrides: fields of the configuration to replace, such as ``num_classes`` or ``img_size``.

    Raises:
        TypeError: an override is not a field of :class:`LSNetConfig`.
        ValueError: the configuration does not hold together; the message says what was expected.
    """

    head: nn.Module
    head_dist: nn.Module

    def __init__(self, cfg: LSNetConfig, **overrides: Any) -> None:
        super().__init__()
        self.config = cfg = replace(cfg, **overrides)
        self.num_classes = cfg.num_classes
        self.num_features = self.head_hidden_size = cfg.dims[-1]
        self.distilled_training = False

        dim = cfg.dims[0]
        self.patch_embed = nn.Sequential(
            ConvNorm(cfg.in_chans, dim // 4, 3, stride=2),
            nn.ReLU(),
            ConvNorm(dim // 4, dim // 2, 3, stride=2),
            nn.ReLU(),
            ConvNorm(dim // 2, dim, 3, stride=2),
        )
        rates = iter(torch.linspace(0, cfg.drop_path_rate, sum(cfg.depths)).tolist())
        for stage in (1, 2, 3, 4):
            dim, blocks = cfg.dims[stage - 1], nn.Sequential()
            if stage > 1:
                previous = cfg.dims[stage - 2]
                blocks.append(ConvNorm(previous, previous, 3, stride=2, groups=previous))
                blocks.append(ConvNorm(previous, dim))
            for index in range(cfg.depths[stage - 1]):
                blocks.append(Block(cfg, stage, index, next(rates)))
            setattr(self, f"blocks{stage}", blocks)  # a checkpoint key
        self.feature_info = [
            {"num_chs": dim, "reduction": STEM_STRIDE * 2**i, "module": f"blocks{i + 1}"}
            for i, dim in enumerate(cfg.dims)
        ]
        self._make_heads()

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The four stages, each a sequence of downsampling layers (from stage 2) and blocks."""
        return tuple(getattr(self, f"blocks{stage}") for stage in (1, 2, 3, 4))

    def named_blocks(self) -> Iterator[tuple[str, int, Block]]:
        """Name (such as ``"blocks2.3"``), stage (1 to 4) and module of every block, in order of computation."""
        for stage, blocks in enumerate(self.stages, start=1):
            for name, module in blocks.named_children():
                if isinstance(module, Block):
                    yield f"blocks{stage}.{name}", stage, module

    def forward_features(self, x: Tensor) -> Tensor:
        """Picture (B, in_chans, H, W) to the last feature map (B, C, ⌈H/64⌉, ⌈W/64⌉). Sides from 32 pixels up."""
        x = self.patch_embed(x)
        for blocks in self.stages:
            x = blocks(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Feature map (B, C, h, w) to logits (B, num_classes), or to pooled features (B, C).

        A distilled network averages its two classifiers. While it trains with :meth:`set_distilled_training`, it
        returns both, for the two losses.
        """
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # (B, C)
        if pre_logits:
            return x
        if not self.config.distilled:
            return self.head(x)
        logits, distilled = self.head(x), self.head_dist(x)
        if self.training and self.distilled_training:
            return logits, distilled
        return (logits + distilled) / 2

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Feature maps after chosen stages, by timm's convention.

        Args:
            x: picture, (B, in_chans, H, W).
            indices: stages 0 to 3 to return, or how many of the last ones; all by default.
            norm: accepted for timm's sake; LSNet has no final norm over feature maps.
            stop_early: whether to leave out the stages after the last index.
            output_fmt: only ``"NCHW"``.
            intermediates_only: whether to leave out the last feature map.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"expected output_fmt 'NCHW', got {output_fmt!r}")
        take, last = feature_take_indices(4, indices)
        intermediates = []
        x = self.patch_embed(x)
        for index, blocks in enumerate(self.stages[: last + 1] if stop_early else self.stages):
            x = blocks(x)
            if index in take:
                intermediates.append(x)
        return intermediates if intermediates_only else (x, intermediates)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop the stages after the last index and the classifier, by timm's convention."""
        take, last = feature_take_indices(4, indices)
        for stage in range(last + 1, 4):
            setattr(self, f"blocks{stage + 1}", nn.Sequential())
        if prune_head:
            self.reset_classifier(0)
        return take

    def get_classifier(self) -> nn.Module | tuple[nn.Module, nn.Module]:
        return (self.head, self.head_dist) if self.config.distilled else self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Start with a new classifier for ``num_classes`` classes; 0 leaves pooled features (B, C)."""
        if global_pool not in (None, "avg"):
            raise ValueError(f"expected global_pool None or 'avg', got {global_pool!r}")
        self.config = replace(self.config, num_classes=num_classes)
        self.num_classes = num_classes
        self._make_heads()

    def set_distilled_training(self, enable: bool = True) -> None:
        """Whether a distilled network returns both classifiers' logits in training mode."""
        self.distilled_training = enable

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Part of timm's interface; LSNet is small enough to keep its activations."""
        if enable:
            raise ValueError("gradient checkpointing is not supported")

    def no_weight_decay(self) -> set[str]:
        """Parameters that optimizers should not decay: attention's biases and temperatures."""
        return {name for name, _ in self.named_parameters() if name.endswith(UNDECAYED)}

    def fuse(self) -> "LSNet":
        """Fold batch norms and re-parameterizable branches, in place, for inference. Returns the network itself."""
        layers.fuse(self)
        return self

    def _make_heads(self) -> None:
        cfg, reference = self.config, next(self.parameters())
        for name in ("head", "head_dist") if cfg.distilled else ("head",):
            head = NormLinear(cfg.dims[-1], cfg.num_classes) if cfg.num_classes else nn.Identity()
            # In the model's own mode: a norm left in training mode would make logits depend on the batch.
            setattr(self, name, head.to(reference.device, reference.dtype).train(self.training))
