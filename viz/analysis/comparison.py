"""One token through an LS convolution, a static convolution and self-attention."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lsnet.complexity import Cost, counted_cost, mixer_cost, static_conv
from lsnet.config import VARIANTS
from lsnet.layers import ConvNorm, Residual
from lsnet.mixers import MSA, StaticConv
from lsnet.model import LSNet
from lsnet.ops import ska
from lsnet.predictor import Predictor, load_predictor
from lsnet.sites import mixer_at
from lsnet.weights import ZOO_FAMILY
from viz.analysis.place import place_at
from viz.analysis.same_place import same_place
from viz.analysis.seen import seen_jpeg
from viz.analysis.siblings import gradient_times_input, measured, siblings
from viz.capture import MOST_WEIGHTS_OF_ONE, trace_image
from viz.progress import Progress, silent
from viz.results import Array, Place
from viz.results.comparison import ComparedMixer, Comparison, Mixing
from viz.trace import BlockTrace, ForwardTrace

Among = Literal["inside", "siblings"]

SIBLINGS: tuple[ComparedMixer, ...] = ("ls", "static", "attention")


def compare_mixers(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    *,
    among: Among = "inside",
    mixers: Sequence[ComparedMixer] = SIBLINGS,
    load: Callable[[str], Predictor] = load_predictor,
    progress: Progress = silent,
) -> Comparison:
    """Which tokens decide the weights, which are read with which weight, and what is written.

    ``"inside"`` stays in one network: an LS block; the same block if it had one kernel per set for the whole picture,
    the mean of its own, which is the best one in the sense of least squares; and the nearest MSA block. Both maps of
    what the LS block writes are in units of the first one's root mean square, and so are their kernels.

    ``"siblings"`` takes networks that differ in the mixer alone, at the block of the same stage and nearest depth:
    the bundled ones, or untrained ones unless all of them are bundled, because trained weights beside random ones
    would say nothing about mixers.

    Args:
        predictor: the network, looking at pictures as it did for the trace.
        picture: upright RGB.
        trace: of that picture, with all its blocks.
        block: name of an LS block.
        token: (row, column).
        among: what is compared.
        mixers: the siblings.
        load: gives bundled networks by source.
        progress: told the share that is done, between siblings and between their timed forward passes.

    Raises:
        InputError: the family of siblings is asked for, and the network is no LSNet.
        ValueError: the block has no kernels, or no such token.
    """
    place = place_at(trace, block, token)
    if trace.block(block).kernels is None:
        raise ValueError(f"expected an LS block with recorded kernels, got {block!r}")
    photo = seen_jpeg(predictor, picture)
    if among == "inside":
        return _inside(predictor, trace, place, photo)
    _ = predictor.lsnet  # another network's tokens lie elsewhere than those of the family
    fitting = [mixer for mixer in mixers if mixer != "attention" or _attention_weights(trace) <= MOST_WEIGHTS_OF_ONE]
    rows, networks = [], siblings(fitting, load, predictor)
    for done, (mixer, sibling) in enumerate(networks.items(), start=1):
        name = _block_like(sibling.lsnet, trace, block)
        own_blocks = [other for other, _, _ in sibling.lsnet.named_blocks()]
        own = trace_image(sibling, picture, blocks=[_before(own_blocks, name), name], most_weights=MOST_WEIGHTS_OF_ONE)
        row = mixing(sibling, own, name, token)
        rows.append(replace(row, mixer=mixer, attribution=_in_rms(gradient_times_input(sibling, picture))))
        progress(done / len(networks) / 2)
    facts = measured(networks, picture, lambda share: progress((1 + share) / 2))
    rows = [replace(row, network=network) for row, network in zip(rows, facts, strict=True)]
    first = rows[0].place
    untrained = "" if all(row.trained for row in rows) else " · untrained"
    weights = f"{next(iter(networks.values())).card.architecture} · {', '.join(networks)}{untrained}"
    left_out = tuple(mixer for mixer in mixers if mixer not in fitting)
    return Comparison(replace(first, weights=weights), tuple(rows), photo, left_out=left_out)


def _inside(predictor: Predictor, trace: ForwardTrace, place: Place, photo: bytes) -> Comparison:
    chosen = trace.block(place.block)
    assert place.token is not None
    assert chosen.kernels is not None
    assert chosen.inputs is not None
    assert chosen.aggregated is not None
    own = mixing(predictor, trace, place.block, place.token)
    mean = chosen.kernels.mean((2, 3))  # (G, K*K)
    written = ska(chosen.inputs[None], mean[None, :, :, None, None].expand(1, -1, -1, *chosen.grid).contiguous())[0]
    static = replace(
        own,
        mixer="static",
        perceives=np.zeros(chosen.grid, bool),
        shares=shares_of(mean, chosen.grid, place.token),
        weights=_in_rms(_square(mean), chosen.kernels.numpy()),
        feature=_in_rms(written.mean(0).numpy(), chosen.aggregated.mean(0).numpy()),
        macs=static_conv(len(chosen.inputs), (1, 1), chosen.kernel_small).macs,
    )
    rows = [own, static]
    attending = _nearest_attention(trace, place.block)
    if attending is not None:
        geometry, other = trace.geometry, trace.block(attending)
        rows.append(mixing(predictor, trace, attending, same_place(place.token, chosen, geometry, other, geometry)))
    energy = chosen.kernels.double().square().sum()
    error = (chosen.kernels - mean[:, :, None, None]).double().square().sum()
    return Comparison(
        place=place,
        rows=tuple(rows),
        photo=photo,
        static_share=float(1 - error / energy) if energy > 0 else 1.0,
        static_cosine=float(torch.cosine_similarity(chosen.aggregated.flatten(), written.flatten(), dim=0)),
    )


def mixing(predictor: Predictor, trace: ForwardTrace, block: str, token: tuple[int, int]) -> Mixing:
    """How a block of a network mixes the tokens around one.

    Args:
        predictor: the network of the trace, plain or fused.
        trace: holds the block and the one before it.
        block: name of a block of odd depth.
        token: (row, column).

    Raises:
        ValueError: the block mixes tokens in another way than those of a comparison.
    """
    chosen, mixer = trace.block(block), mixer_at(predictor.model, block)
    if chosen.mixer not in get_args(ComparedMixer):
        raise ValueError(f"expected one of the mixers {', '.join(get_args(ComparedMixer))}, got {chosen.mixer!r}")
    weights: Array | None = None
    side = chosen.kernel_small
    if chosen.kernels is not None:
        assert chosen.aggregated is not None
        taps, written = chosen.kernels[:, :, token[0], token[1]], chosen.aggregated
        shares, weights = shares_of(taps, chosen.grid, token), _in_rms(_square(taps), chosen.kernels.numpy())
        weight_count = taps.numel()
    elif chosen.attention is not None:
        assert isinstance(mixer, Residual)
        rows = chosen.attention[:, token[0] * chosen.grid[1] + token[1]].unflatten(1, chosen.grid)  # (heads, h, w)
        shares, weights = rows.mean(0).numpy(), _in_rms(rows.numpy(), chosen.attention.numpy())
        weight_count, written = rows.numel(), _attended(mixer.m, _read(trace, block), chosen.attention)
    elif isinstance(mixer, StaticConv):
        conv = mixer.conv.c if isinstance(mixer.conv, ConvNorm) else mixer.conv  # fused
        taps, side = conv.weight.detach().float().cpu().flatten(1), conv.kernel_size[0]  # (C, K*K)
        shares, weight_count = shares_of(taps, chosen.grid, token), taps.numel()
        kernels = taps.view(-1, 1, side, side)
        written = torch.nn.functional.conv2d(_read(trace, block), kernels, None, 1, side // 2, 1, len(kernels))
    else:
        shares, weight_count, side = shares_of(torch.ones(1, 1), chosen.grid, token), 0, 1
        written = _read(trace, block)
    return Mixing(
        mixer=chosen.mixer,  # type: ignore[arg-type]
        place=place_at(trace, block, token),
        trained=predictor.card.trained,
        perceives=_window(chosen.grid, token, chosen.kernel_large) | (chosen.kind == "msa"),
        reads=_window(chosen.grid, token, side) | (chosen.kind == "msa"),
        shares=shares,
        weights=weights,
        feature=_in_rms(written.mean(0).numpy()),
        attribution=None,
        weight_count=weight_count,
        macs=_cost(predictor.model, mixer, chosen).macs // math.prod(chosen.grid),
        extent=trace.extent(chosen.name),
    )


def shares_of(weights: Tensor, grid: tuple[int, int], token: tuple[int, int]) -> Array:
    """Share of each token in the magnitudes of weights around one, (h, w).

    Taps beyond the grid read nothing and count nothing. Sets whose weights are all zero are left out of the mean.

    Args:
        weights: (n, K·K), taps row-major.
        grid: (h, w).
        token: (row, column) of the middle tap.
    """
    window = _square(weights.abs().double())  # (n, K, K)
    reach, (row, column), (height, width) = window.shape[1] // 2, token, grid
    rows = slice(max(reach - row, 0), min(height - row + reach, 2 * reach + 1))  # of the window, within the grid
    columns = slice(max(reach - column, 0), min(width - column + reach, 2 * reach + 1))
    inside = window[:, rows, columns]
    totals = inside.sum((1, 2))
    mean = (inside[totals > 0] / totals[totals > 0][:, None, None]).sum(0) / max(int((totals > 0).sum()), 1)
    shares = np.zeros(grid, np.float32)
    top, left = row - reach + rows.start, column - reach + columns.start
    shares[top : top + mean.shape[0], left : left + mean.shape[1]] = mean
    return shares


def _attended(msa: torch.nn.Module, inputs: Tensor, attention: Tensor) -> Tensor:
    """What a recorded attention (heads, N, N) makes of the values of inputs (C, h, w), before the projection."""
    assert isinstance(msa, MSA)
    parameter = next(msa.parameters())
    with torch.no_grad():
        values = msa.qkv(inputs[None].to(parameter.device, parameter.dtype)).split(msa.split, dim=1)[2]
    values = values[0].float().cpu().flatten(1).unflatten(0, (msa.num_heads, -1))  # (heads, d, N)
    return (values @ attention.transpose(1, 2)).flatten(0, 1).unflatten(1, inputs.shape[1:])  # (C, h, w)


def _block_like(model: LSNet, trace: ForwardTrace, block: str) -> str:
    """The block of a network with its own mixer that is in the same stage as another network's, nearest in depth."""
    stage = trace.block(block).stage
    depth = [b.name for b in trace.blocks.values() if b.stage == stage].index(block)
    names = [name for name, number, _ in model.named_blocks() if number == stage]
    return names[min(range(1, len(names), 2), key=lambda index: (abs(index - depth), index))]


def _attention_weights(trace: ForwardTrace) -> int:
    """Weights of the largest attention that a network of the family would have at this resolution: in stage 1."""
    tokens = max(block.grid[0] * block.grid[1] for block in trace.blocks.values())
    return VARIANTS[ZOO_FAMILY[-1]].num_heads[0] * tokens**2


def _before(names: Sequence[str], block: str) -> str:
    """The block before one of odd depth, which is in the same stage: what it writes, the block reads."""
    return names[names.index(block) - 1]


def _read(trace: ForwardTrace, block: str) -> Tensor:
    """What a block of odd depth of an LSNet read, (C, h, w)."""
    features = trace.block(_before(list(trace.blocks), block)).features
    assert features is not None
    return features


def _cost(model: nn.Module, mixer: nn.Module, block: BlockTrace) -> Cost:
    """Of an LSNet's mixer in closed form where there is one; of an LS conv in another network, counted."""
    if isinstance(model, LSNet):
        return mixer_cost(model.config, block.stage, block.grid)
    assert block.features is not None
    return counted_cost(mixer, (1, len(block.features), *block.grid))


def _nearest_attention(trace: ForwardTrace, block: str) -> str | None:
    names = list(trace.blocks)
    attending = [i for i, name in enumerate(names) if trace.blocks[name].kind == "msa"]
    return names[min(attending, key=lambda i: abs(i - names.index(block)))] if attending else None


def _window(grid: tuple[int, int], token: tuple[int, int], side: int) -> np.ndarray:
    """Which tokens lie in a window around one, (h, w); none for a side of 0."""
    rows, columns = (np.abs(np.arange(length) - at) <= side // 2 for length, at in zip(grid, token, strict=True))
    return (rows[:, None] & columns) & (side > 0)


def _square(taps: Tensor) -> Tensor:
    side = round(taps.shape[1] ** 0.5)
    return taps.unflatten(1, (side, side))  # (n, K, K)


def _in_rms(values: Array | Tensor, unit: Array | None = None) -> Array:
    """Values in units of the root mean square of ``unit``, or of themselves; zeros stay zeros."""
    array = np.asarray(values, np.float64)
    size = float(np.sqrt(np.square(array if unit is None else unit, dtype=np.float64).mean()))
    return (array / size if size > 0 else array).astype(np.float32)
