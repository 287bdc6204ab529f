"""LSNet at inference a second time: functional, in float64, straight from the keys of a released checkpoint.

Shares no code with the package. It follows the published description key by key: 1×1 and depthwise convolutions with
batch norm, kernels of nine taps normalized in groups, ``c % G`` kernel sets by indexing into ``unfold``, attention
with its bias gathered through the stored index table.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]


def authors_forward(state: State, x: Tensor) -> Tensor:
    """Logits (B, num_classes) of a picture (B, 3, 224, 224)."""
    state = {key: value.double() if value.is_floating_point() else value for key, value in state.items()}
    x = x.double()
    for index in (0, 2, 4):
        x = conv_bn(state, f"patch_embed.{index}", x, stride=2)
        x = F.relu(x) if index < 4 else x
    for stage in (1, 2, 3, 4):
        indices = sorted({int(key.split(".")[1]) for key in state if key.startswith(f"blocks{stage}.")})
        for index in indices:
            prefix = f"blocks{stage}.{index}"
            if f"{prefix}.c.weight" in state:
                x = conv_bn(state, prefix, x, stride=2 if index == 0 else 1)
            else:
                x = block(state, prefix, x)
    x = x.mean((2, 3))
    logits = norm_linear(state, "head", x)
    return (logits + norm_linear(state, "head_dist", x)) / 2 if "head_dist.l.weight" in state else logits


def block(state: State, prefix: str, x: Tensor) -> Tensor:
    if f"{prefix}.mixer.conv.c.weight" in state:
        x = conv_bn(state, f"{prefix}.mixer.conv", x) + conv_bn(state, f"{prefix}.mixer.conv1", x) + x
        gate = x.mean((2, 3), keepdim=True)
        gate = F.relu(F.conv2d(gate, state[f"{prefix}.se.fc1.weight"], state[f"{prefix}.se.fc1.bias"]))
        gate = F.conv2d(gate, state[f"{prefix}.se.fc2.weight"], state[f"{prefix}.se.fc2.bias"])
        x = x * gate.sigmoid()
    elif f"{prefix}.mixer.lkp.cv4.weight" in state:
        x = ls_conv(state, f"{prefix}.mixer", x)
    else:
        x = x + attention(state, f"{prefix}.mixer.m", x)
    hidden = F.relu(conv_bn(state, f"{prefix}.ffn.m.pw1", x))
    return x + conv_bn(state, f"{prefix}.ffn.m.pw2", hidden)


def ls_conv(state: State, prefix: str, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    sets = channels // 8
    context = conv_bn(state, f"{prefix}.lkp.cv2", F.relu(conv_bn(state, f"{prefix}.lkp.cv1", x)))
    hidden = F.relu(conv_bn(state, f"{prefix}.lkp.cv3", context))
    logits = F.conv2d(hidden, state[f"{prefix}.lkp.cv4.weight"], state[f"{prefix}.lkp.cv4.bias"])
    taps = logits.view(batch, sets, 9 * height * width)
    taps = (taps - taps.mean(2, keepdim=True)) / (taps.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    taps = taps.view(batch, sets, 9, height, width)
    taps = taps * state[f"{prefix}.lkp.norm.weight"].view(sets, 9, 1, 1) + state[f"{prefix}.lkp.norm.bias"].view(
        sets, 9, 1, 1
    )
    windows = F.unfold(x, 3, padding=1).view(batch, channels, 9, height, width)
    kernel_set = torch.arange(channels) % sets
    return bn(state, f"{prefix}.bn", (windows * taps[:, kernel_set]).sum(2)) + x


def attention(state: State, prefix: str, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    tokens, heads = height * width, 4
    qkv = conv_bn(state, f"{prefix}.qkv", x)
    q, k, v = qkv[:, :64], qkv[:, 64:128], qkv[:, 128:]
    q = conv_bn(state, f"{prefix}.dw", q)
    mixed = []
    for head in range(heads):
        q_h = q[:, 16 * head : 16 * head + 16].reshape(batch, 16, tokens)
        k_h = k[:, 16 * head : 16 * head + 16].reshape(batch, 16, tokens)
        size = channels // heads
        v_h = v[:, size * head : size * head + size].reshape(batch, size, tokens)
        bias = state[f"{prefix}.attention_biases"][head][state[f"{prefix}.attention_bias_idxs"]]
        rows = torch.softmax(torch.einsum("bdn,bdm->bnm", q_h, k_h) / 4 + bias, dim=-1)
        mixed.append(torch.einsum("bnm,bdm->bdn", rows, v_h))
    x = torch.cat(mixed, 1).view(batch, channels, height, width)
    return conv_bn(state, f"{prefix}.proj.1", F.relu(x))


def conv_bn(state: State, prefix: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{prefix}.c.weight"]
    groups = x.shape[1] // weight.shape[1]
    return bn(state, f"{prefix}.bn", F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=groups))


def bn(state: State, prefix: str, x: Tensor) -> Tensor:
    shape = (1, -1, *[1] * (x.dim() - 2))
    mean, var, weight, bias = (
        state[f"{prefix}.{name}"].view(shape) for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def norm_linear(state: State, prefix: str, x: Tensor) -> Tensor:
    return F.linear(bn(state, f"{prefix}.bn", x), state[f"{prefix}.l.weight"], state[f"{prefix}.l.bias"])
