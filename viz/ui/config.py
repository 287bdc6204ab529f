"""How the app is started."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AppConfig:
    """Everything that can be chosen at start.

    Attributes:
        device: where models run; None takes CUDA where there is one, else the CPU.
        host, port: where the page is served; port None takes the first free one from 7860 up.
        model: the model that the page opens with, a source as :func:`lsnet.load_predictor` takes it.
        weights: a weights file to offer and open with.
        threads: CPU threads; None measures which of one and all is faster.
        share: whether to ask gradio for a public link.
    """

    device: str | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    model: str = "bundled"
    weights: Path | None = None
    threads: int | None = None
    share: bool = False


def parse_arguments(arguments: Sequence[str] | None = None) -> AppConfig:
    """Read the command line of ``python app.py``."""
    defaults = AppConfig()
    parser = argparse.ArgumentParser(
        prog="app.py", description="LSNet Explorer: look inside LSNet on your own picture."
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, …; default: CUDA where there is one, else the CPU")
    parser.add_argument("--host", default=defaults.host, help="address to serve on (0.0.0.0: to the network)")
    parser.add_argument("--port", type=int, help="port to serve on; default: the first free one from 7860 up")
    parser.add_argument(
        "--model",
        default=defaults.model,
        help="what to open with: bundled, bundled/NAME, untrained/lsnet_b, or lsnet_b_distill (from the Hub)",
    )
    parser.add_argument("--weights", type=Path, help="a .safetensors or .pth file to open with")
    parser.add_argument("--threads", type=int, help="CPU threads; default: measured at start")
    parser.add_argument("--share", action="store_true", help="ask gradio for a public link")
    return AppConfig(**vars(parser.parse_args(arguments)))
