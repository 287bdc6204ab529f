"""A network with all that is needed to use it on a picture."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from lsnet.errors import InputError
from lsnet.labels import Label
from lsnet.model import LSNet
from lsnet.preprocess import FrameMode, Preprocess
from lsnet.transplant import LSTokenMixer
from lsnet.weights import WeightsCard, load_model


@dataclass(frozen=True)
class Predictor:
    """A network, its preprocessing and its labels. Holds no state between pictures.

    Attributes:
        model: in evaluation mode, on ``device``: an LSNet, or another network with LS convolutions in it.
        preprocess: turns an RGB picture into an input, (3, H, W).
        card: where the weights come from and what they are.
        device: where the model runs.
    """

    model: nn.Module
    preprocess: Preprocess
    card: WeightsCard
    device: torch.device

    @property
    def classes(self) -> tuple[Label, ...]:
        """What each logit stands for."""
        return self.card.classes

    @property
    def lsnet(self) -> LSNet:
        """The model, for what asks for LSNet's own blocks.

        Raises:
            InputError: it is another network.
        """
        if not isinstance(self.model, LSNet):
            name = self.card.architecture
            message = f"{name} is another network with LS convolutions in it; this asks for LSNet's own blocks"
            raise InputError("network.not_lsnet", message, name=name)
        return self.model

    def framed(self, size: int | None = None, mode: FrameMode | None = None) -> "Predictor":
        """The same network looking at pictures at another resolution (pixels) or with another crop."""
        size, mode = size or self.preprocess.size, mode or self.preprocess.mode
        return replace(self, preprocess=replace(self.preprocess, size=size, mode=mode))

    def batch(self, picture: Image.Image) -> Tensor:
        """The input of the model, (1, 3, H, W), on its device and in its dtype.

        Raises:
            InputError: the network takes square inputs only, and this is none.
        """
        width, height = self.preprocess.frame(*picture.size).size
        if width != height and any(isinstance(module, LSTokenMixer) for module in self.model.modules()):
            name = self.card.architecture
            message = f"{name} takes square inputs only; choose the centre crop"
            raise InputError("network.square", message, name=name)
        return self.preprocess(picture)[None].to(self.device, next(self.model.parameters()).dtype)

    @torch.inference_mode()
    def logits(self, picture: Image.Image) -> Tensor:
        """Logits (num_classes,) of an RGB picture, float32 on the CPU."""
        output = self.model(self.batch(picture))
        return output[0].float().cpu()


def load_predictor(source: str | Path = "bundled", device: str | torch.device | None = None) -> Predictor:
    """Load weights and everything that belongs to them.

    Args:
        source: see :func:`lsnet.weights.load_model`.
        device: where to run; ``None`` takes CUDA where there is one, else the CPU.

    Raises:
        InputError: the weights cannot be used, or there is no such device; one sentence says why.
    """
    target = choose_device(device)
    model, card = load_model(source)
    return Predictor(model.to(target), card.preprocess, card, target)


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or CUDA where there is one, else the CPU.

    Raises:
        InputError: the device does not exist on this machine.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        target = torch.device(device)
        torch.empty(0, device=target)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            "device.unavailable",
            f"the device {str(device)!r} is not available on this machine; use 'cpu' or leave the choice open",
            device=str(device),
        ) from error
    return target
