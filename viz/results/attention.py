"""How tokens weigh each other in self-attention."""

from dataclasses import dataclass

from viz.results.place import Array, Result

Extent = tuple[float, float]


@dataclass(frozen=True)
class AttentionRows(Result):
    """How one token weighs all tokens.

    Attributes:
        rows: (heads, h, w); each head sums to one.
        mean: over heads, (h, w).
        entropy: of each head's row, (heads,), in bits; at most log2(h·w).
        distance: expected distance of each head's row, (heads,), in tokens.
        extent: (height, width) of the network's input in tokens; less than the grid where the edge cuts cells.
        photo: the part of the picture that the network saw, as a JPEG file; None to draw plain maps.
    """

    rows: Array
    mean: Array
    entropy: Array
    distance: Array
    extent: Extent
    photo: bytes | None


@dataclass(frozen=True)
class AttentionRollout(Result):
    """What one token has gathered from where, when it leaves each MSA block of a stage.

    Attributes:
        blocks: names of the stage's MSA blocks, in order of computation.
        maps: (blocks, h, w): shares of the tokens that entered the stage's first MSA block; each map sums to one.
        extent, photo: as for :class:`AttentionRows`.
    """

    blocks: tuple[str, ...]
    maps: Array
    extent: Extent
    photo: bytes | None


@dataclass(frozen=True)
class AttentionBias(Result):
    """The learned bias of an MSA block, and its part in the logits on one picture.

    Attributes:
        table: (heads, R, R'), signed, in units of logits, by distance in rows and in columns; R × R' is the grid that
            the weights store it for.
        bias_spread, products_spread: (heads,): standard deviations of the bias, and of the scaled products of queries
            and keys, around each row's mean.
        share: (heads,): of the logits' variance around each row's mean, the part that the bias accounts for. The rest
            is the products' part. Below 0 or above 1 where the two pull in opposite directions.
        grid: (h, w) of the picture's tokens; the table is interpolated where that is another grid than its own.
    """

    table: Array
    bias_spread: Array
    products_spread: Array
    share: Array
    grid: tuple[int, int]


@dataclass(frozen=True)
class AttentionHeads(Result):
    """How wide every head of every MSA block spreads its attention: a mean over all tokens of the picture.

    Attributes:
        blocks: names of the MSA blocks, in order of computation.
        limits: log2(N) of each block, (blocks,), in bits: the entropy of uniform attention.
        uniform: mean distance under uniform attention in each block, (blocks,), in tokens.
        strides: input pixels per token of each block, (blocks,).
        block, head: (P,): which block (an index into ``blocks``) and which head each point belongs to.
        entropy: (P,), in bits.
        distance: (P,), in tokens.
    """

    blocks: tuple[str, ...]
    limits: Array
    uniform: Array
    strides: Array
    block: Array
    head: Array
    entropy: Array
    distance: Array


@dataclass(frozen=True)
class AttentionSizes(Result):
    """The attention of the same place of a picture at several input resolutions.

    Attributes:
        sizes: input resolutions, pixels.
        maps: one per resolution, (heads, h, w): share of each token times N. Uniform attention is 1 everywhere.
        tokens: (row, column) of the place in each grid.
        entropy: of the mean over heads, (sizes,), in bits.
        limits: log2(N), (sizes,), in bits.
        extents: of each resolution, as for :class:`AttentionRows`.
        photo: as for :class:`AttentionRows`.
        stored: the grid (h, w) that the weights store position biases for; they are interpolated for others.
        left_out: resolutions that were asked for, but whose attention would not fit into memory.
    """

    sizes: tuple[int, ...]
    maps: tuple[Array, ...]
    tokens: tuple[tuple[int, int], ...]
    entropy: Array
    limits: Array
    extents: tuple[Extent, ...]
    photo: bytes | None
    stored: tuple[int, int]
    left_out: tuple[int, ...]

    def arrays(self) -> dict[str, Array]:
        """The numbers by name; the maps as ``map_<resolution>``."""
        return super().arrays() | {f"map_{size}": values for size, values in zip(self.sizes, self.maps, strict=True)}
