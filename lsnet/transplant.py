"""LS convolution in other networks: every 3×3 convolution of a ResNet, every self-attention of a vision transformer.

Source: paper, table 9, which names what is replaced (``ls_resnet50``, ``ls_deit_tiny``) and reports MACs and accuracy.
It does not say how strided convolutions and the class token are treated; :class:`LSConv2d` and :class:`LSTokenMixer`
say what is done here. The multiply-accumulates come out as published.
"""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import torch
from timm.layers import Conv2dSame
from timm.models import build_model_with_cfg, register_model
from timm.models._registry import generate_default_cfgs
from timm.models.resnet import Bottleneck, ResNet
from timm.models.vision_transformer import Attention, VisionTransformer
from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers import LSConv
from lsnet.preprocess import IMAGENET_MEAN, IMAGENET_STD

# Names of modules, with * for anything, or a decision by name and module.
Where = str | Callable[[str, nn.Module], bool]

MULTIPLE = 8  # an LS convolution's channels come in kernel sets of eight


class LSConv2d(nn.Sequential):
    """An LS convolution in the place of a 3×3 convolution: same channels in and out, same stride.

    The LS convolution keeps channels and grid. As LSNet does between its stages, a depthwise 3×3 convolution with batch
    norm takes the step first, and a 1×1 convolution with batch norm changes the channels; each only where needed. So
    kernels are predicted for the output's pixels. (The other order, LS convolutions before the step, would cost
    ``ls_resnet50`` 2.7 GMACs where the paper has 2.6.)

    Args:
        in_dim: channels of the input.
        out_dim: channels of the output, divisible by 8.
        stride: step in pixels.
    """

    def __init__(self, in_dim: int, out_dim: int, stride: int = 1) -> None:
        super().__init__()
        if stride > 1:
            self.down = ConvNorm(in_dim, in_dim, 3, stride, groups=in_dim)
        if in_dim != out_dim:
            self.channels = ConvNorm(in_dim, out_dim)
        self.ls = LSConv(out_dim)


class LSTokenMixer(nn.Module):
    """An LS convolution in the place of a vision transformer's self-attention.

    It mixes the patch tokens on their grid. A convolution has no place for tokens that stand for no patch (class and
    register tokens), yet a class token that saw nothing would know nothing: each receives the mean of the mixed patch
    tokens, which is what attention with equal weights would give it, and costs no parameters.

    Args:
        dim: channels, divisible by 8.
        grid: (height, width) of the patch tokens; at other sizes of input, the square that their number makes.
        prefix_tokens: how many tokens before the patches stand for none.
    """

    def __init__(self, dim: int, grid: tuple[int, int], prefix_tokens: int) -> None:
        super().__init__()
        self.grid = grid
        self.prefix_tokens = prefix_tokens
        self.ls = LSConv(dim)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """(B, N, C) to (B, N, C). The other arguments are those of timm's attention, at which masks are refused."""
        if attn_mask is not None or is_causal:
            raise ValueError("expected no attention mask: an LS convolution mixes all patches of a window")
        patches = x[:, self.prefix_tokens :]
        height, width = self._grid(patches.shape[1])
        mixed = self.ls(patches.transpose(1, 2).unflatten(2, (height, width)))  # (B, C, h, w)
        mixed = mixed.flatten(2).transpose(1, 2)  # (B, h·w, C)
        if not self.prefix_tokens:
            return mixed
        prefix = mixed.mean(dim=1, keepdim=True).expand(-1, self.prefix_tokens, -1)
        return torch.cat([prefix, mixed], dim=1)

    def _grid(self, count: int) -> tuple[int, int]:
        if count == self.grid[0] * self.grid[1]:
            return self.grid
        side = round(count**0.5)
        if side * side != count:
            raise ValueError(f"expected {self.grid[0]} × {self.grid[1]} patch tokens or a square of them, got {count}")
        return side, side


def transplant(model: nn.Module, where: Where = "*") -> tuple[str, ...]:
    """Replace modules, in place, by LS convolutions with fresh weights.

    What can be replaced: convolutions with a 3×3 kernel, padded by one pixel, with one stride, no dilation and output
    channels divisible by 8, grouped or not; and the self-attention of timm's vision transformers of such a width.

    Args:
        model: any network, such as ``timm.create_model("resnet18")``.
        where: which of those to replace: a name with ``*`` for anything (``"layer3.*.conv2"``), or a function of a
            module's name and the module.

    Returns:
        The names of what was replaced, in order.

    Raises:
        ValueError: nothing that can be replaced is there.
    """
    chosen = (lambda name, _: fnmatchcase(name, where)) if isinstance(where, str) else where
    replaced = []
    for name, module, transformer in list(_candidates(model)):
        successor = _successor(module, transformer) if chosen(name, module) else None
        if successor is None:
            continue
        like = next(module.parameters())
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, successor.to(like.device, like.dtype).train(module.training))
        replaced.append(name)
    if not replaced:
        raise ValueError(f"expected a 3×3 convolution or a vision transformer's attention at {where!r}, found none")
    return tuple(replaced)


def is_conv3x3(name: str, module: nn.Module) -> bool:
    """For ``where``: every 3×3 convolution, as in table 9's ResNet-50."""
    return isinstance(module, nn.Conv2d)


def is_attention(name: str, module: nn.Module) -> bool:
    """For ``where``: every self-attention, as in table 9's DeiT-T."""
    return isinstance(module, Attention)


def _candidates(
    model: nn.Module, prefix: str = "", transformer: VisionTransformer | None = None
) -> Iterator[tuple[str, nn.Module, VisionTransformer | None]]:
    """Convolutions and attentions outside of LS convolutions: name, module, the vision transformer it belongs to."""
    if isinstance(model, VisionTransformer):
        transformer = model
    for name, child in model.named_children():
        if isinstance(child, nn.Conv2d | Attention):
            yield prefix + name, child, transformer
        elif not isinstance(child, LSConv2d | LSTokenMixer | LSConv):
            yield from _candidates(child, f"{prefix}{name}.", transformer)


def _successor(module: nn.Module, transformer: VisionTransformer | None) -> nn.Module | None:
    """What takes a module's place, or None where nothing can."""
    if isinstance(module, nn.Conv2d):
        keeps_size = module.padding == (1, 1) or isinstance(module, Conv2dSame)
        plain = (
            module.kernel_size == (3, 3) and module.dilation == (1, 1) and len(set(module.stride)) == 1 and keeps_size
        )
        if plain and module.out_channels % MULTIPLE == 0:
            return LSConv2d(module.in_channels, module.out_channels, module.stride[0])
    if isinstance(module, Attention) and transformer is not None:
        dim = module.proj.out_features
        if dim % MULTIPLE == 0:
            return LSTokenMixer(dim, transformer.patch_embed.grid_size, transformer.num_prefix_tokens)
    return None


def _config(first_conv: str, classifier: str, **fields: Any) -> dict[str, Any]:
    return {
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "pool_size": None,
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "first_conv": first_conv,
        "classifier": classifier,
        "paper_ids": "arXiv:2503.23135",
        "paper_name": "LSNet: See Large, Focus Small",
        **fields,
    }


default_cfgs = generate_default_cfgs(
    {
        "ls_resnet50.untrained": _config("conv1", "fc", pool_size=(7, 7)),
        "ls_deit_tiny.untrained": _config("patch_embed.proj", "head", crop_pct=0.9, fixed_input_size=True),
    }
)


def _resnet50(**kwargs: Any) -> ResNet:
    model = ResNet(block=Bottleneck, layers=(3, 4, 6, 3), **kwargs)  # type: ignore[arg-type]
    transplant(model, is_conv3x3)
    return model


def _deit_tiny(**kwargs: Any) -> VisionTransformer:
    model = VisionTransformer(patch_size=16, embed_dim=192, depth=12, num_heads=3, **kwargs)
    transplant(model, is_attention)
    return model


@register_model
def ls_resnet50(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """ResNet-50 with an LS convolution in the place of each of its 16 3×3 convolutions. Paper, table 9: 2.6 GMACs."""
    return build_model_with_cfg(_resnet50, "ls_resnet50", pretrained, **kwargs)


@register_model
def ls_deit_tiny(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """DeiT-T with an LS convolution in the place of each of its 12 self-attentions. Paper, table 9: 0.9 GMACs."""
    return build_model_with_cfg(
        _deit_tiny, "ls_deit_tiny", pretrained, feature_cfg={"out_indices": 3, "feature_cls": "getter"}, **kwargs
    )
