"""Each mixer against its formula: loops over tokens, or a second implementation, in float64 on tiny cases."""

import cmath
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from timm.layers import CondConv2d
from timm.models import edgenext, efficientvit_msra, swin_transformer
from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers import (
    AFF,
    DCD,
    SDTA,
    CascadedGroupAttention,
    CondConv,
    CoT,
    DYConv,
    Involution,
    LinearSRA,
    LKPConv,
    ODConv,
    PictureConv,
    RepMixer,
    WindowAttention,
)
from tests.conftest import randomize


def maps(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def prepared(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(2)
    mixer = randomize(build()).double()
    for parameter in mixer.parameters():
        if parameter.dim() == 1 and (parameter.abs() < 1e-4).all():  # layer scales
            nn.init.uniform_(parameter, 0.5, 1.0)
    return mixer.requires_grad_(False)


def normed(layer: ConvNorm, x: Tensor) -> Tensor:
    """Convolution and batch norm, written out."""
    conv, bn = layer.c, layer.bn
    y = F.conv2d(x, conv.weight, padding=conv.padding, groups=conv.groups)
    return batch_norm(bn, y)


def batch_norm(bn: nn.BatchNorm2d, y: Tensor) -> Tensor:
    mean, var, weight, bias = (t[:, None, None] for t in (bn.running_mean, bn.running_var, bn.weight, bn.bias))
    return (y - mean) / (var + bn.eps).sqrt() * weight + bias


def layer_norm(ln: nn.LayerNorm, x: Tensor) -> Tensor:
    """Over the last dimension."""
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + ln.eps).sqrt() * ln.weight + ln.bias


def group_norm(gn: nn.GroupNorm, x: Tensor) -> Tensor:
    groups = x.reshape(len(x), gn.num_groups, -1)
    groups = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, keepdim=True, correction=0) + gn.eps).sqrt()
    return groups.view(x.shape) * gn.weight[:, None, None] + gn.bias[:, None, None]


def aggregate(x: Tensor, kernels: Tensor) -> Tensor:
    """Equation (8) of the paper by loops: channel c uses set c % G of kernels (B, G, K², H, W)."""
    size = round(kernels.shape[2] ** 0.5)
    batch, channels, height, width = x.shape
    y = torch.zeros_like(x)
    for b in range(batch):
        for c in range(channels):
            for i in range(height):
                for j in range(width):
                    for tap in range(size**2):
                        u, v = i + tap // size - size // 2, j + tap % size - size // 2
                        if 0 <= u < height and 0 <= v < width:
                            y[b, c, i, j] += kernels[b, c % kernels.shape[1], tap, i, j] * x[b, c, u, v]
    return y


def test_involution() -> None:
    mixer = prepared(lambda: Involution(8, kernel_small=3, channels_per_set=4, reduction=2))
    x = maps(2, 8, 3, 4)
    reduce, _, span, _ = mixer.perceive
    kernels = F.conv2d(normed(reduce, x).relu(), span.weight, span.bias).view(2, 2, 9, 3, 4)
    expected = batch_norm(mixer.bn, aggregate(x, kernels)) + x
    torch.testing.assert_close(mixer(x), expected)
    assert Involution(32).perceive[2].out_channels == 2 * 49  # the source's defaults: 7 × 7, 16 channels to a set


def test_contextual_transformer() -> None:
    mixer = prepared(lambda: CoT(16, channels_per_set=4))
    x = maps(2, 16, 3, 4)
    static = normed(mixer.key_embed[0], x).relu()
    reduce, _, span, norm, _ = mixer.perceive
    hidden = normed(reduce, torch.cat((x, static), 1)).relu()
    kernels = group_norm(norm, F.conv2d(hidden, span.weight, span.bias)).view(2, 4, 9, 3, 4)
    dynamic = batch_norm(mixer.norm, aggregate(normed(mixer.value_embed, x), kernels))
    dynamic = dynamic / (1 + (-dynamic).exp())
    pooled = (static + dynamic).mean((2, 3), keepdim=True)
    squeeze, _, excite = mixer.weigh
    logits = F.conv2d(normed(squeeze, pooled).relu(), excite.weight, excite.bias)
    first, second = logits[:, 0::2].exp(), logits[:, 1::2].exp()  # of each channel: dynamic, static
    mixed = (first * dynamic + second * static) / (first + second)
    torch.testing.assert_close(mixer(x), batch_norm(mixer.bn, mixed) + x)


def test_ls_conv_without_ska() -> None:
    mixer = prepared(lambda: LKPConv(16, kernel_large=5, kernel_small=3, channels_per_set=4))
    x = maps(2, 16, 6, 5)
    lkp = mixer.lkp
    hidden = normed(lkp.cv3, normed(lkp.cv2, normed(lkp.cv1, x).relu())).relu()
    perceived = group_norm(lkp.norm, F.conv2d(hidden, lkp.cv4.weight, lkp.cv4.bias))
    assert perceived.shape == x.shape
    assert lkp.norm.num_groups == 4
    torch.testing.assert_close(mixer(x), normed(mixer.dw, perceived) + x)


def test_rep_mixer() -> None:
    mixer = prepared(lambda: RepMixer(6))
    x = maps(2, 6, 5, 4)
    mix, norm = mixer.m.mixer, mixer.m.norm
    branch, pointwise = mix.conv_kxk[0], mix.conv_scale
    mixed = batch_norm(branch.bn, F.conv2d(x, branch.conv.weight, padding=1, groups=6)) + batch_norm(mix.identity, x)
    mixed = mixed + batch_norm(pointwise.bn, F.conv2d(x, pointwise.conv.weight, groups=6))
    expected = x + mixer.m.layer_scale.gamma * (mixed - batch_norm(norm.identity, x))
    torch.testing.assert_close(mixer(x), expected)


def window_attention_by_loops(mixer: WindowAttention, x: Tensor) -> Tensor:
    """Every token asks which others share its window, straight from coordinates."""
    batch, dim, height, width = x.shape
    size, attn = mixer.windows.size, mixer.attn
    shifts = [size // 2 if mixer.windows.shifted and side > size else 0 for side in (height, width)]

    def home(row: int, column: int) -> tuple[int, ...]:
        """Its window, counted from the shifted origin; what lies before the origin is a window of its own."""
        return tuple((at - shift) // size for at, shift in zip((row, column), shifts, strict=True))

    tokens = layer_norm(mixer.norm, x.flatten(2).transpose(1, 2))  # (B, N, C)
    q, k, v = (
        F.linear(tokens, attn.qkv.weight, attn.qkv.bias)
        .view(batch, -1, 3, attn.num_heads, dim // attn.num_heads)
        .unbind(2)
    )
    places = [(row, column) for row in range(height) for column in range(width)]
    mixed = torch.zeros_like(q)
    for b in range(batch):
        for head in range(attn.num_heads):
            for i, here in enumerate(places):
                near = [j for j, there in enumerate(places) if home(*there) == home(*here)]
                logits = []
                for j in near:
                    down, right = here[0] - places[j][0], here[1] - places[j][1]
                    bias = attn.relative_position_bias_table[
                        (down + size - 1) * (2 * size - 1) + right + size - 1, head
                    ]
                    logits.append(q[b, i, head] @ k[b, j, head] / math.sqrt(q.shape[-1]) + bias)
                weights = torch.stack(logits).softmax(0)
                mixed[b, i, head] = sum(w * v[b, j, head] for w, j in zip(weights, near, strict=True))
    return F.linear(mixed.flatten(2), attn.proj.weight, attn.proj.bias).transpose(1, 2).view(x.shape)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("grid", [(3, 3), (6, 6), (4, 5), (2, 7)], ids=str)
def test_window_attention(grid: tuple[int, int], shifted: bool) -> None:
    mixer = prepared(lambda: WindowAttention(8, 2, window=3, shifted=shifted))
    x = maps(2, 8, *grid)
    torch.testing.assert_close(mixer(x), window_attention_by_loops(mixer, x))


@pytest.mark.parametrize("shifted", [False, True])
def test_window_attention_is_timms_on_grids_that_windows_tile(shifted: bool) -> None:
    mixer = prepared(lambda: WindowAttention(16, 4, shifted=shifted))
    block = swin_transformer.SwinTransformerBlock(16, (14, 21), 4, window_size=7, shift_size=3 * shifted).double()
    block.norm1.load_state_dict(mixer.norm.state_dict())
    block.attn.load_state_dict(mixer.attn.state_dict())
    x = maps(2, 16, 14, 21)
    expected = block._attn(block.norm1(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
    torch.testing.assert_close(mixer(x), expected)


@pytest.mark.parametrize("grid", [(7, 7), (14, 21)], ids=str)
def test_cascaded_group_attention_is_timms_on_grids_that_windows_tile(grid: tuple[int, int]) -> None:
    mixer = prepared(lambda: CascadedGroupAttention(16, key_dim=4))
    other = efficientvit_msra.LocalWindowAttention(16, 4, 4, attn_ratio=1, resolution=14).double().eval()
    other.attn.load_state_dict({key.replace(".c.", ".conv."): value for key, value in mixer.state_dict().items()})
    x = maps(2, 16, *grid)
    torch.testing.assert_close(mixer(x), other(x))


def test_cascaded_group_attention_by_hand_where_padding_must_not_count() -> None:
    """A 3 × 4 grid inside one 7 × 7 window: nothing of what lies beyond is seen."""
    mixer = prepared(lambda: CascadedGroupAttention(8, num_heads=2, key_dim=3))
    x = maps(2, 8, 3, 4)
    places = [(row, column) for row in range(3) for column in range(4)]
    offsets = torch.tensor([[abs(a[0] - b[0]) * 7 + abs(a[1] - b[1]) for b in places] for a in places])
    before, outputs = torch.zeros(2, 4, 3, 4, dtype=torch.float64), []
    for head in range(2):
        values = normed(mixer.qkvs[head], x[:, 4 * head : 4 * head + 4] + before)
        q = normed(mixer.dws[head], values[:, :3]).flatten(2)
        k, v = values[:, 3:6].flatten(2), values[:, 6:].flatten(2)
        logits = torch.einsum("bdi,bdj->bij", q, k) / math.sqrt(3) + mixer.attention_biases[head][offsets]
        before = torch.einsum("bij,bdj->bdi", logits.softmax(-1), v).view(2, 4, 3, 4)
        outputs.append(before)
    expected = normed(mixer.proj[1], torch.cat(outputs, 1).relu())
    torch.testing.assert_close(mixer(x), expected)


@pytest.mark.parametrize("grid", [(4, 5), (9, 16)], ids=str)
def test_linear_spatial_reduction_attention(grid: tuple[int, int]) -> None:
    mixer = prepared(lambda: LinearSRA(8, 2))
    attn, x = mixer.attn, maps(2, 8, *grid)
    tokens = layer_norm(mixer.norm, x.flatten(2).transpose(1, 2))  # (B, N, C)
    picture = tokens.view(2, *grid, 8)
    shares = torch.zeros(49, *grid, dtype=torch.float64)
    for cell in range(49):
        sides = [
            slice(at * side // 7, -(-(at + 1) * side // 7)) for at, side in zip(divmod(cell, 7), grid, strict=True)
        ]
        shares[cell][sides[0], sides[1]] = 1 / shares[cell][sides[0], sides[1]].numel()
    averages = torch.einsum("nij,bijc->bnc", shares, picture)
    reduced = F.linear(averages, attn.sr.weight.flatten(1), attn.sr.bias)
    reduced = F.gelu(layer_norm(attn.norm, reduced))
    q = F.linear(tokens, attn.q.weight, attn.q.bias).view(2, -1, 2, 4)
    k, v = F.linear(reduced, attn.kv.weight, attn.kv.bias).view(2, 49, 2, 2, 4).unbind(2)
    attention = (torch.einsum("bihd,bjhd->bhij", q, k) / 2).softmax(-1)
    mixed = torch.einsum("bhij,bjhd->bihd", attention, v).flatten(2)
    expected = F.linear(mixed, attn.proj.weight, attn.proj.bias).transpose(1, 2).view(x.shape)
    torch.testing.assert_close(mixer(x), expected)
    torch.testing.assert_close(mixer.spread(attention, grid), attention @ shares.flatten(1))


def test_split_depthwise_transpose_attention() -> None:
    """Subsets by hand, channel attention by loops; and timm's block without its MLP."""
    mixer = prepared(lambda: SDTA(12, scales=3, num_heads=2))
    x = maps(2, 12, 3, 4)
    first, second, third = x.split(4, dim=1)
    conv1, conv2 = mixer.convs
    first = F.conv2d(first, conv1.weight, conv1.bias, padding=1, groups=4)
    second = F.conv2d(second + first, conv2.weight, conv2.bias, padding=1, groups=4)
    local = torch.cat((first, second, third), 1) + mixer.pos_embd((2, 3, 4))
    tokens = local.flatten(2).transpose(1, 2)  # (B, N, C)
    xca = mixer.xca
    qkv = F.linear(layer_norm(mixer.norm, tokens), xca.qkv.weight, xca.qkv.bias)
    q, k, v = qkv.view(2, 12, 3, 12).unbind(2)  # (B, N, C)
    mixed = torch.zeros_like(q)
    for b in range(2):
        for c in range(12):
            head = range(c // 6 * 6, c // 6 * 6 + 6)
            cosines = [q[b, :, c] @ k[b, :, d] / (q[b, :, c].norm() * k[b, :, d].norm()) for d in head]
            weights = (torch.stack(cosines) * xca.temperature[c // 6, 0, 0]).softmax(0)
            mixed[b, :, c] = sum(w * v[b, :, d] for w, d in zip(weights, head, strict=True))
    tokens = tokens + mixer.gamma_xca * F.linear(mixed, xca.proj.weight, xca.proj.bias)
    branch = tokens.transpose(1, 2).view(x.shape)
    torch.testing.assert_close(mixer(x), batch_norm(mixer.bn, branch))

    block = edgenext.SplitTransposeBlock(12, num_scales=3, num_heads=2, ls_init_value=1.0).double()
    block.norm, block.mlp, block.gamma = nn.Identity(), nn.Identity(), None
    state = {key.replace("norm.", "norm_xca."): value for key, value in mixer.state_dict().items() if "bn." not in key}
    block.load_state_dict(state)
    torch.testing.assert_close(block(x) - x, branch)


@pytest.mark.parametrize("grid", [(3, 4), (4, 3), (3, 3)], ids=str)
def test_adaptive_frequency_filter(grid: tuple[int, int]) -> None:
    """Complex numbers one by one: the spectrum, its filter, and the circular convolution that this amounts to."""
    mixer = prepared(lambda: AFF(4, groups=2))
    for parameter in mixer.perceive.parameters():
        nn.init.normal_(parameter, std=0.5)
    height, width = grid
    x = maps(1, 4, height, width)
    z = group_norm(mixer.norm, x)
    half = width // 2 + 1

    def linear(layer: nn.Module, values: list[complex], c: int) -> complex:
        group, place = divmod(c, 2)
        weight = torch.complex(layer.weight[0], layer.weight[1])[group]  # (in, out)
        total = sum(values[2 * group + i] * weight[i, place].item() for i in range(2))
        return total + complex(layer.bias[0, c], layer.bias[1, c])

    def shrink(value: float) -> float:
        return math.copysign(max(abs(value) - 0.01, 0), value)

    factors = torch.zeros(4, height, half, dtype=torch.complex128)
    for u in range(height):
        for w in range(half):
            waves = torch.tensor(
                [
                    [cmath.exp(-2j * math.pi * (u * i / height + w * j / width)) for j in range(width)]
                    for i in range(height)
                ]
            )
            spectrum = [(z[0, c] * waves).sum().item() / math.sqrt(height * width) for c in range(4)]
            hidden = [linear(mixer.perceive.fc1, spectrum, c) for c in range(4)]
            hidden = [complex(max(value.real, 0), max(value.imag, 0)) for value in hidden]
            for c in range(4):
                value = linear(mixer.perceive.fc2, hidden, c)
                factors[c, u, w] = complex(shrink(value.real), shrink(value.imag))
    kernels = torch.zeros_like(z)
    for c in range(4):
        for i in range(height):
            for j in range(width):
                for u in range(height):
                    for w in range(width):
                        # The frequencies that a real picture leaves unsaid are conjugates of those it tells.
                        told = w < half
                        factor = (
                            factors[c, u, w].item() if told else factors[c, -u % height, width - w].item().conjugate()
                        )
                        kernels[0, c, i, j] += (
                            factor * cmath.exp(2j * math.pi * (u * i / height + w * j / width)) / (height * width)
                        ).real
    mixed = sum(kernels[:, :, i, j, None, None] * z.roll((i, j), (2, 3)) for i in range(height) for j in range(width))
    torch.testing.assert_close(mixer(x), z + mixed)


@pytest.mark.parametrize("build", [CondConv, DYConv])
def test_experts_are_timms_conditional_convolution(build: type[PictureConv]) -> None:
    """Routes by hand: sigmoids for CondConv; for DY-Conv two layers and a flat softmax."""
    mixer = prepared(lambda: build(8))
    x = maps(3, 8, 5, 4)
    pooled = x.mean((2, 3))
    route = mixer.perceive.route
    if build is CondConv:
        weights = 1 / (1 + (-F.linear(pooled, route[0].weight, route[0].bias)).exp())
        assert weights.shape == (3, 8)
    else:
        hidden = F.linear(pooled, route[0].weight, route[0].bias).relu()
        logits = F.linear(hidden, route[2].weight, route[2].bias).div(30).exp()
        weights = logits / logits.sum(1, keepdim=True)
        assert weights.shape == (3, 4)
    conv = CondConv2d(8, 8, 3, groups=8, num_experts=weights.shape[1]).double()
    conv.weight = nn.Parameter(mixer.perceive.weight.flatten(1), requires_grad=False)
    torch.testing.assert_close(mixer(x), batch_norm(mixer.bn, conv(x, weights)) + x)


def test_omni_dimensional_dynamic_convolution() -> None:
    mixer = prepared(lambda: ODConv(6))
    perceive, x = mixer.perceive, maps(2, 6, 4, 5)
    pooled = normed(perceive.squeeze[0], x.mean((2, 3), keepdim=True)).relu()
    channel, spatial, kernel = (
        F.conv2d(pooled, layer.weight, layer.bias).flatten(1)
        for layer in (perceive.channel, perceive.spatial, perceive.kernel)
    )
    kernels = torch.zeros(2, 6, 9, dtype=torch.float64)
    for b in range(2):
        for c in range(6):
            for tap in range(9):
                blend = sum(kernel[b].softmax(0)[n] * perceive.weight[n, c].flatten()[tap] for n in range(4))
                kernels[b, c, tap] = channel[b, c].sigmoid() * spatial[b, tap].sigmoid() * blend
    everywhere = kernels[..., None, None].expand(-1, -1, -1, 4, 5)
    torch.testing.assert_close(mixer(x), batch_norm(mixer.bn, aggregate(x, everywhere)) + x)


def test_dynamic_convolution_decomposition() -> None:
    mixer = prepared(lambda: DCD(6))
    perceive, x = mixer.perceive, maps(2, 6, 4, 5)
    first, _, second = perceive.branch
    hidden = F.linear(x.mean((2, 3)), first.weight, first.bias).relu()
    answers = F.linear(hidden, second.weight, second.bias)
    kernels = torch.zeros(2, 6, 9, dtype=torch.float64)
    for b in range(2):
        scale, fusion = torch.diag((answers[b, :6] + 3).clamp(0, 6) / 3), answers[b, 6:].view(4, 4)
        kernels[b] = scale @ perceive.weight.view(6, 9) + perceive.p @ fusion @ perceive.r.T
    everywhere = kernels[..., None, None].expand(-1, -1, -1, 4, 5)
    torch.testing.assert_close(mixer(x), batch_norm(mixer.bn, aggregate(x, everywhere)) + x)
