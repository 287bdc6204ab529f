"""The number to explain: a class's logit or one weight of a dynamic kernel, as a function of the model's input."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from lsnet.errors import InputError
from lsnet.mixers import LSConv
from lsnet.model import LSNet
from viz.analysis.place import place_at
from viz.analysis.receptive_field import features_before
from viz.progress import Progress, silent
from viz.results.attribution import TargetKind
from viz.trace import ForwardTrace

PREDICTED = "predicted"


@dataclass(frozen=True)
class Target:
    """The number to explain.

    Attributes:
        block: the chosen block; for a kernel weight, an LS block.
        token: (row, column) in its grid.
        kind: ``"class"`` for a class's logit, ``"tap"`` for one weight of the token's dynamic kernel.
        label: id of the class, or ``"predicted"`` for the most probable one.
        kernel_set, tap: which weight; taps are row-major over the aggregation window.
    """

    block: str
    token: tuple[int, int]
    kind: TargetKind = "class"
    label: str = PREDICTED
    kernel_set: int = 0
    tap: int = 4


class Explained(nn.Module, ABC):
    """The network as a function from pictures to the number to explain, which counts the pictures that pass.

    Args:
        network: hooks may be hung on it, so give a :func:`viz.analysis.copies.folded_copy`.
        progress: told, after each batch, the share of :attr:`expected` pictures that have passed.
    """

    def __init__(self, network: nn.Module, progress: Progress = silent) -> None:
        super().__init__()
        self.network = network
        self.progress = progress
        self.expected = 1
        self.passed = 0

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B,)."""
        number = self.number(x)
        self.passed += len(x)
        self.progress(min(self.passed / self.expected, 1.0))
        return number

    @abstractmethod
    def number(self, x: Tensor) -> Tensor:
        """What is explained: (B, 3, H, W) to (B,)."""

    def score(self, x: Tensor) -> Tensor:
        """What is watched while pixels are removed: (B, 3, H, W) to (B,)."""
        return self.number(x)


class ClassLogit(Explained):
    """The logit of class ``index``; its score is the softmax probability."""

    def __init__(self, network: nn.Module, index: int, progress: Progress = silent) -> None:
        super().__init__(network, progress)
        self.index = index

    def number(self, x: Tensor) -> Tensor:
        return self.network(x)[:, self.index]

    def score(self, x: Tensor) -> Tensor:
        return self.network(x).softmax(1)[:, self.index]


class KernelTap(Explained):
    """One weight of one token's dynamic kernel. Nothing after the block's LKP is computed."""

    network: LSNet

    def __init__(self, network: LSNet, target: Target, progress: Progress = silent) -> None:
        super().__init__(network, progress)
        self.target = target

    @property
    def lkp(self) -> nn.Module:
        """The module that predicts the kernel."""
        return self.network.get_submodule(f"{self.target.block}.mixer.lkp")

    def number(self, x: Tensor) -> Tensor:
        row, column = self.target.token
        inputs = features_before(self.network, self.target.block, x)
        return self.lkp(inputs)[:, self.target.kernel_set, self.target.tap, row, column]


def explained(network: nn.Module, trace: ForwardTrace, target: Target, progress: Progress = silent) -> Explained:
    """The number of a network that a target names.

    Args:
        network: see :class:`Explained`.
        trace: of the picture in the network that the target is about, which need not be ``network``.
        target: what to explain.
        progress: see :class:`Explained`.

    Raises:
        InputError: there is no such class or kernel weight, or the weight is one of a network that is no LSNet.
        KeyError: there is no such block.
        ValueError: the block has no such token.
    """
    if target.kind == "tap":
        return KernelTap(_checked_tap(network, trace, target), target, progress)
    if not trace.classes:
        message = "this network has no classifier; choose a weight of a dynamic kernel"
        raise InputError("attribution.no_classes", message)
    if target.label == PREDICTED:
        return ClassLogit(network, int(trace.logits.argmax()), progress)
    ids = [label.id for label in trace.classes]
    if target.label not in ids:
        message = f"expected the id of one of the network's {len(ids)} classes, got {target.label!r}"
        raise InputError("attribution.no_class", message, name=target.label)
    return ClassLogit(network, ids.index(target.label), progress)


def _checked_tap(network: nn.Module, trace: ForwardTrace, target: Target) -> LSNet:
    place_at(trace, target.block, target.token)
    if not isinstance(network, LSNet):
        message = "a kernel weight is explained in LSNet's own networks only; choose a class"
        raise InputError("attribution.not_lsnet", message)
    mixer = network.get_submodule(target.block).mixer
    if not isinstance(mixer, LSConv):
        message = f"{target.block} has no dynamic kernels; choose an LS block"
        raise InputError("attribution.no_kernels", message, block=target.block)
    sets, taps = mixer.lkp.num_sets, mixer.lkp.kernel_small**2
    if not (0 <= target.kernel_set < sets and 0 <= target.tap < taps):
        message = f"{target.block} has {sets} kernel sets of {taps} taps, got set {target.kernel_set}, tap {target.tap}"
        raise InputError("attribution.no_tap", message, block=target.block, sets=sets, taps=taps)
    return network
