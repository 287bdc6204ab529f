"""What happened inside the network on one picture: plain tensors on the CPU, and no model."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from torch import Tensor

from lsnet.labels import Label
from lsnet.model import BlockKind, MixerLabel
from viz.images import Geometry


@dataclass(frozen=True)
class BlockTrace:
    """One block. Tensors are float32 and None where the block has no such thing or it was not asked for.

    Attributes:
        name: such as ``"blocks2.3"``, the module's name in the network.
        kind: ``"ls"`` has kernels and context, ``"dynamic"`` kernels of another making, ``"msa"`` and ``"attention"``
            attention, ``"dw"`` is a static convolution, ``"global"`` has no weights of a token's own, ``"none"`` mixes
            nothing.
        stage: 1 to 4; in a network other than LSNet, counted by the grids that its LS convolutions have.
        stride: input pixels per token.
        grid: (h, w), tokens.
        kernel_large: side of the perception window in tokens; 0 where there is none, or where all is perceived.
        kernel_small: side of the aggregation window in tokens; 0 where there is none.
        mixer: what it mixes tokens with: a key of :data:`lsnet.mixers.MIXERS`, or ``"dw"`` in blocks of even index.
        inputs: what the aggregation read, (C, h, w).
        kernels: the dynamic kernels that it used, (G, K·K, h, w), taps row-major; channel c used set ``c % G``.
        context: what kernels were predicted from; of LS blocks the large-kernel depthwise output, (C/2, h, w).
        aggregated: what the aggregation wrote, before its norm and residual connection, (C, h, w).
        filters: one kernel for each channel as large as the grid, (C, h, w), applied circularly to ``inputs``.
        attention: (heads, N, N) with N = h·w; row i is how token i weighs all tokens and sums to one. None also where
            it has too many weights to be kept (:data:`viz.capture.MOST_WEIGHTS`).
        features: the block's output, (C, h, w).
    """

    name: str
    kind: BlockKind
    stage: int
    stride: int
    grid: tuple[int, int]
    kernel_large: int = 0
    kernel_small: int = 0
    mixer: MixerLabel = "ls"
    inputs: Tensor | None = None
    kernels: Tensor | None = None
    context: Tensor | None = None
    aggregated: Tensor | None = None
    filters: Tensor | None = None
    attention: Tensor | None = None
    features: Tensor | None = None

    @property
    def one_kernel_for_all(self) -> bool:
        """Whether the dynamic kernels are the picture's, the same at all of its tokens."""
        return self.kind == "dynamic" and self.kernel_large == 0

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that were recorded, by attribute name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}


@dataclass(frozen=True)
class ForwardTrace:
    """One forward pass.

    Attributes:
        blocks: every block in order of computation, by name.
        logits: (num_classes,).
        classes: what each logit stands for.
        label_set: name of that set of classes, by language.
        geometry: the map between picture pixels, model pixels and tokens.
        weights: one line that names the weights, and says so where they are untrained.
        device: where the model ran.
        seconds: time of the forward pass, capture included.
    """

    blocks: Mapping[str, BlockTrace]
    logits: Tensor
    classes: tuple[Label, ...]
    label_set: Mapping[str, str]
    geometry: Geometry
    weights: str
    device: str
    seconds: float

    def topk(self, k: int = 5) -> list[tuple[Label, float]]:
        """The k most probable classes with their softmax probabilities, the most probable first."""
        probabilities, indices = self.logits.softmax(0).topk(min(k, len(self.classes)))
        return [(self.classes[i], p) for i, p in zip(indices.tolist(), probabilities.tolist(), strict=True)]

    def block(self, name: str) -> BlockTrace:
        """A block by name.

        Raises:
            KeyError: there is no such block; the message lists those that are there.
        """
        if name not in self.blocks:
            raise KeyError(f"no block {name!r}; there are {', '.join(self.blocks)}")
        return self.blocks[name]

    def extent(self, block: str) -> tuple[float, float]:
        """(height, width) of the network's input in tokens of a block; fractions where its stride does not divide it.

        Raises:
            KeyError: there is no such block.
        """
        width, height = self.geometry.frame.size
        stride = self.block(block).stride
        return height / stride, width / stride

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write all recorded tensors as ``<block>/<tensor>``, the logits, class names and the weights' name."""
        arrays = {
            f"{block.name}/{name}": tensor.numpy()
            for block in self.blocks.values()
            for name, tensor in block.tensors().items()
        }
        names = np.array([label.en for label in self.classes])
        np.savez_compressed(
            path,
            allow_pickle=False,
            logits=self.logits.numpy(),
            classes=names,
            weights=np.array(self.weights),
            **arrays,
        )
