"""The attention between tokens: its rows, what it adds up to over a stage, what it is made of, how wide it spreads."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lsnet.errors import InputError
from lsnet.layers import Residual
from lsnet.mixers import MSA
from lsnet.predictor import Predictor
from lsnet.sites import mixer_at
from viz.analysis.place import place_at
from viz.analysis.same_place import same_place
from viz.analysis.seen import seen_jpeg
from viz.capture import MOST_WEIGHTS_OF_ONE, trace_image
from viz.progress import Progress, silent
from viz.results import Result
from viz.results.attention import (
    Array,
    AttentionBias,
    AttentionHeads,
    AttentionRollout,
    AttentionRows,
    AttentionSizes,
)
from viz.trace import BlockTrace, ForwardTrace

Show = Literal["rows", "rollout", "bias", "heads", "resolution"]

SIZES = (224, 320, 448)


def attention(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    show: Show = "rows",
    overlay: bool = True,
    progress: Progress = silent,
) -> Result:
    """One of this module's analyses by name, with the picture behind its maps where ``overlay`` asks for it."""
    photo = seen_jpeg(predictor, picture) if overlay else None
    if show == "rows":
        return attention_at(trace, block, token, photo)
    if show == "rollout":
        return attention_rollout(trace, block, token, photo)
    if show == "bias":
        return attention_bias(predictor, trace, block)
    if show == "heads":
        return attention_heads(trace, block)
    return attention_at_sizes(predictor, picture, trace, block, token, SIZES, photo, progress)


def attention_at(trace: ForwardTrace, block: str, token: tuple[int, int], photo: bytes | None = None) -> AttentionRows:
    """How one token weighs all tokens of the grid, head by head.

    Args:
        trace: a trace that holds the block's attention.
        block: name of a block with attention.
        token: (row, column).
        photo: what the network saw, to be drawn behind the maps; see :func:`viz.analysis.seen.seen_jpeg`.

    Raises:
        ValueError: the block has no attention, or no such token.
    """
    place = place_at(trace, block, token)
    chosen = trace.block(block)
    rows = _row(chosen, token)  # (heads, N)
    distances = _distances(chosen.grid)[_index(token, chosen.grid)]
    maps = rows.unflatten(1, chosen.grid).numpy()  # (heads, h, w)
    return AttentionRows(
        place=place,
        rows=maps,
        mean=maps.mean(0),
        entropy=_entropy(rows).numpy(),
        distance=(rows @ distances).numpy(),
        extent=trace.extent(chosen.name),
        photo=photo,
    )


def attention_rollout(
    trace: ForwardTrace, block: str, token: tuple[int, int], photo: bytes | None = None
) -> AttentionRollout:
    """Where the content of one token comes from, followed back through the attention of a stage.

    Every block with attention counts as ``0.5·A + 0.5·I``, the mean over its heads and its residual connection; the
    product of these matrices is followed from each block back to the stage's first one. Only such blocks take part:
    the depthwise blocks between them move content by one token each way and are left out, as are the norms, the values'
    sizes and the FFNs.

    Args:
        trace: a trace that holds the attention of all blocks of the stage.
        block: name of a block with attention, which chooses the stage.
        token: (row, column).
        photo: see :func:`attention_at`.

    Raises:
        ValueError: a block of the stage has no recorded attention, or there is no such token.

    Source: Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020, section 3.
    """
    place = place_at(trace, block, token)
    chosen = trace.block(block)
    _recorded(chosen)
    stage = [b for b in trace.blocks.values() if b.kind == chosen.kind and b.stage == chosen.stage]
    means = [_recorded(b).double().mean(0) for b in stage]  # (N, N) each
    start = torch.zeros(means[0].shape[0], dtype=torch.float64)
    start[_index(token, chosen.grid)] = 1
    maps = []
    for depth in range(1, len(means) + 1):
        row = start
        for mean in reversed(means[:depth]):
            row = 0.5 * (row @ mean) + 0.5 * row  # (N,): a row of the product, never the matrix itself
        maps.append(row.unflatten(0, chosen.grid))
    return AttentionRollout(
        place=place,
        blocks=tuple(b.name for b in stage),
        maps=torch.stack(maps).float().numpy(),
        extent=trace.extent(chosen.name),
        photo=photo,
    )


def attention_logits(predictor: Predictor, trace: ForwardTrace, block: str) -> tuple[Tensor, Tensor]:
    """What a block's attention is the softmax of, in its two parts.

    Args:
        predictor: the network of the trace, plain or fused.
        trace: a trace that holds the features of the block before this one: what this block reads.
        block: name of an MSA block.

    Returns:
        The scaled products of queries and keys, and the position bias on the trace's grid, both (heads, N, N) on the
        CPU. Their sum is the logits.

    Raises:
        ValueError: the block has no attention, or what it read was not recorded.
    """
    chosen = trace.block(block)
    _recorded(chosen)
    names = list(trace.blocks)
    inputs = trace.blocks[names[names.index(block) - 1]].features
    if inputs is None:
        raise ValueError(f"expected recorded features of the block before {block!r}")
    msa = _msa(predictor, block)
    reference = msa.attention_biases
    with torch.no_grad():
        q, k, _ = msa.qkv(inputs[None].to(reference.device, reference.dtype)).split(msa.split, dim=1)
        q, k = (t.reshape(msa.num_heads, -1, math.prod(chosen.grid)) for t in (msa.dw(q), k))  # (heads, d, N)
        products = q.transpose(-2, -1) @ k * msa.scale
        return products.float().cpu(), msa.bias(*chosen.grid).float().cpu()


def attention_bias(predictor: Predictor, trace: ForwardTrace, block: str) -> AttentionBias:
    """The learned table of position biases, and how much of the logits it makes on this picture.

    A softmax does not feel what a whole row of logits has in common, so logits are taken around the mean of their row.
    With ``b`` the bias and ``c`` the scaled products of queries and keys, both so centred, the bias's share of the
    variance is ``Σ b·(b + c) / Σ (b + c)²`` over all pairs of tokens; that of the products is one minus it. Zero where
    the logits do not vary at all.

    Args:
        predictor, trace, block: see :func:`attention_logits`.

    Raises:
        ValueError: see :func:`attention_logits`.
    """
    place = place_at(trace, block)
    products, bias = (part.double() for part in attention_logits(predictor, trace, block))
    products, bias = (part - part.mean(-1, keepdim=True) for part in (products, bias))
    logits = products + bias
    energy = logits.square().sum((1, 2))
    ours = (bias * logits).sum((1, 2))
    msa = _msa(predictor, block)
    return AttentionBias(
        place=place,
        table=msa.attention_biases.detach().float().cpu().unflatten(1, msa.grid).numpy(),
        bias_spread=_spread(bias),
        products_spread=_spread(products),
        share=torch.where(energy > 0, ours / energy.clamp_min(np.finfo(np.float64).tiny), 0).float().numpy(),
        grid=trace.block(block).grid,
    )


def attention_heads(trace: ForwardTrace, block: str) -> AttentionHeads:
    """Entropy and mean distance of every head of every block with attention, as means over all tokens of the picture.

    The distance of a row is ``Σ_j A_ij · |p_i - p_j|`` with positions in tokens.

    Args:
        trace: a trace that holds the attention of all blocks that have one.
        block: name of the one to speak of.

    Raises:
        ValueError: a block has no recorded attention.

    Source: mean attention distance, Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, figure 7.
    """
    place = place_at(trace, block)
    _recorded(trace.block(block))
    blocks = [b for b in trace.blocks.values() if b.kind in ("msa", "attention")]
    points, uniform = [], []
    for index, one in enumerate(blocks):
        weights, distances = _recorded(one), _distances(one.grid)
        entropy = _entropy(weights).mean(-1)
        distance = (weights * distances).sum(-1).mean(-1)
        points += [
            (index, head, *pair) for head, pair in enumerate(zip(entropy.tolist(), distance.tolist(), strict=True))
        ]
        uniform.append(distances.mean().item())
    index, head, entropies, spans = np.array(points, np.float32).T
    return AttentionHeads(
        place=place,
        blocks=tuple(b.name for b in blocks),
        limits=np.array([math.log2(math.prod(b.grid)) for b in blocks], np.float32),
        uniform=np.array(uniform, np.float32),
        strides=np.array([b.stride for b in blocks], np.float32),
        block=index,
        head=head,
        entropy=entropies,
        distance=spans,
    )


def attention_at_sizes(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    sizes: Sequence[int] = SIZES,
    photo: bytes | None = None,
    progress: Progress = silent,
) -> AttentionSizes:
    """The attention of the same place of a picture, seen at several input resolutions.

    A finer grid has more tokens, and each gets a smaller share: shares are given times N, so that 1 is uniform
    attention on every grid.

    Args:
        predictor: the network, framing pictures as it did for the trace.
        picture: upright RGB.
        trace: the trace in which ``token`` was chosen.
        block: name of an MSA block.
        token: (row, column) in that trace.
        sizes: input resolutions in pixels, as for :class:`lsnet.preprocess.Preprocess`. Those at which the
            block's attention would take gigabytes are left out.
        photo: see :func:`attention_at`.
        progress: told after each resolution.

    Raises:
        ValueError: the block has no attention, or no such token.
    """
    place = place_at(trace, block, token)
    chosen, stored = trace.block(block), _msa(predictor, block).grid
    heads = len(_recorded(chosen))
    maps, tokens, extents, used = [], [], [], []
    for done, size in enumerate(sizes, start=1):
        width, height = predictor.framed(size).preprocess.frame(*picture.size).size
        count = math.ceil(height / chosen.stride) * math.ceil(width / chosen.stride)
        if heads * count**2 <= MOST_WEIGHTS_OF_ONE:
            framed = predictor.framed(size)
            other = trace_image(framed, picture, blocks=[block], most_weights=MOST_WEIGHTS_OF_ONE)
            there = other.block(block)
            tokens.append(same_place(token, chosen, trace.geometry, there, other.geometry))
            rows = _row(there, tokens[-1])
            maps.append((rows * count).unflatten(1, there.grid).numpy())  # (heads, h, w)
            extents.append(other.extent(there.name))
            used.append(size)
        progress(done / len(sizes))
    means = [torch.from_numpy(values).mean(0).flatten() / values[0].size for values in maps]
    return AttentionSizes(
        place=place,
        sizes=tuple(used),
        maps=tuple(maps),
        tokens=tuple(tokens),
        entropy=np.array([_entropy(mean).item() for mean in means], np.float32),
        limits=np.array([math.log2(len(mean)) for mean in means], np.float32),
        extents=tuple(extents),
        photo=photo,
        stored=stored,
        left_out=tuple(size for size in sizes if size not in used),
    )


def _recorded(block: BlockTrace) -> Tensor:
    if block.attention is None and block.kind in ("msa", "attention") and block.features is not None:
        message = f"the attention of {block.name} has too many weights to be kept; choose a lower resolution"
        raise InputError("attention.not_kept", message, block=block.name)
    if block.attention is None:
        raise ValueError(f"expected an MSA block with recorded attention, got {block.name!r}")
    return block.attention


def _msa(predictor: Predictor, block: str) -> MSA:
    """LSNet's own self-attention, for what only it has: a table of biases and a grid that they are stored for."""
    mixer = mixer_at(predictor.model, block)
    attention = mixer.m if isinstance(mixer, Residual) else mixer
    if not isinstance(attention, MSA):
        raise InputError("attention.msa_only", f"{block} has another attention than LSNet's own", block=block)
    return attention


def _index(token: tuple[int, int], grid: tuple[int, int]) -> int:
    return token[0] * grid[1] + token[1]


def _row(block: BlockTrace, token: tuple[int, int]) -> Tensor:
    """How a token weighs all tokens, (heads, N)."""
    return _recorded(block)[:, _index(token, block.grid)]


def _entropy(weights: Tensor) -> Tensor:
    """In bits, over the last dimension."""
    return torch.special.entr(weights).sum(-1) / math.log(2)


def _distances(grid: tuple[int, int]) -> Tensor:
    """Distance (N, N) between all pairs of tokens, in tokens."""
    positions = torch.cartesian_prod(*(torch.arange(float(side)) for side in grid)).reshape(-1, 2)
    return torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")


def _spread(values: Tensor) -> Array:
    """Root mean square over all pairs of tokens, (heads,)."""
    return values.square().mean((1, 2)).sqrt().float().numpy()
