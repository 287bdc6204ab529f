"""What replaced kernels do to features and to the answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from viz.results.place import Array, Result


@dataclass(frozen=True)
class SurgeryAgreement:
    """How often the operated network gives the untouched one's answer, over a set of pictures.

    Attributes:
        rows: what was operated on: names of blocks alone, and ``"all"`` of them jointly.
        pictures, total: how many pictures are done, and how many there are.
        agreement: (rows, 3): share of pictures whose most probable class stays, and the ends of its 95 % Wilson
            interval, 0…1.
        accuracy: (1 + rows, 3): share of right answers with its interval, the untouched network first; (0, 3) where
            the right answers are not known.
    """

    rows: tuple[str, ...]
    pictures: int
    total: int
    agreement: Array
    accuracy: Array

    def arrays(self) -> dict[str, Array]:
        """The numbers by name."""
        return {"agreement": self.agreement, **({"accuracy": self.accuracy} if len(self.accuracy) else {})}


@dataclass(frozen=True)
class SurgeryEffect(Result):
    """The untouched forward pass of a picture against the operated one.

    Attributes:
        operation: its name.
        asked: the block that was asked for; ``place.block`` is the nearest one that the operation fits.
        operated: names of the blocks that were operated on.
        sets: of ``place.block``, how many kernel sets (or heads) were replaced, and how many there are.
        classes: names, by language, of the five most probable classes before and after, the most probable before
            first.
        before, after: their softmax probabilities, (classes,).
        logits_before, logits_after: of all classes, (num_classes,).
        divergence: Kullback-Leibler divergence of the answer after from the answer before, in bits.
        top1_change: by how much the logit of the class that was most probable changes.
        blocks: names of all blocks, in order of computation.
        kinds: their kinds.
        feature_change: |f' - f| / |f| at the output of each block, (blocks,).
        block_map, last_map: the same for each token, at the output of ``place.block`` and of the last block, (h, w):
            |f' - f| of the token over the root mean square of |f| over all tokens.
        block_extent, last_extent: (height, width) of the network's input in tokens of these maps.
        photo: the part of the picture that the network saw, as a JPEG file.
        rows: what the following speak of: each block of this kind alone, and ``"all"`` of them jointly.
        row_divergence, row_top1_change, row_feature_change: as above, the last one at the last block, (rows,).
        row_kept: 1 where the most probable class stays, else 0, (rows,).
        agreement: the same over a set of pictures, or None.
    """

    operation: str
    asked: str
    operated: tuple[str, ...]
    sets: tuple[int, int]
    classes: tuple[Mapping[str, str], ...]
    before: Array
    after: Array
    logits_before: Array
    logits_after: Array
    divergence: float
    top1_change: float
    blocks: tuple[str, ...]
    kinds: tuple[str, ...]
    feature_change: Array
    block_map: Array
    last_map: Array
    block_extent: tuple[float, float]
    last_extent: tuple[float, float]
    photo: bytes
    rows: tuple[str, ...]
    row_divergence: Array
    row_top1_change: Array
    row_feature_change: Array
    row_kept: Array
    agreement: SurgeryAgreement | None = None

    def arrays(self) -> dict[str, Array]:
        """The numbers by name."""
        return super().arrays() | (self.agreement.arrays() if self.agreement else {})
