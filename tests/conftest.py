"""What all tests share."""

import os

import torch

# Before anything imports triton: without a GPU, its kernels run under the interpreter.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
# Nothing that a test loads may be waited for from the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import pytest
from PIL import Image
from torch import nn

import lsnet
from lsnet import weights

torch.set_num_threads(1)  # small tensors: more threads only wait for each other


def randomize(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give a network random norms and biases, so that no branch is switched off and no fold is trivial.

    The scales keep the picture's influence on the logits, and do not amplify float32 rounding beyond what trained
    networks do: norms make up for the shrinking of torch's default convolutions, residual branches are weak.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm):
            ends_branch = name.endswith(("pw2.bn", "proj.1.bn", "mixer.bn"))
            module.weight.data.uniform_(0.7, 1.3, generator=generator).mul_(0.15 if ends_branch else 1)
            module.bias.data.normal_(0, 0.1, generator=generator)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.2, 0.5, generator=generator)
    for name, parameter in model.named_parameters():
        if name.endswith("attention_biases"):
            parameter.data.normal_(generator=generator)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_predictor() -> lsnet.Predictor:
    """An untrained lsnet_n whose norms are random, on the CPU."""
    predictor = lsnet.load_predictor("untrained/lsnet_n", device="cpu")
    randomize(predictor.model)
    return predictor


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A bundled photo."""
    path = weights.BUNDLED_DIR.parent / "examples" / "coffee.jpg"
    with Image.open(path) as picture:
        return picture.convert("RGB")
