"""How the app is started."""

import argparse
import os
from collections.abc import Mapping, Sequence
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
        on_space: whether this is a Space of Hugging Face: then visitors read where their pictures go.
    """

    device: str | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    model: str = "bundled"
    weights: Path | None = None
    threads: int | None = None
    share: bool = False
    on_space: bool = False


def parse_arguments(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> AppConfig:
    """Read the command line of ``python app.py``.

    Where it names no host or port, ``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT`` do, as a Space sets them. Without
    either, the page is served to this machine alone; a Space serves it to its proxy.
    """
    defaults = AppConfig()
    on_space = "SPACE_ID" in environment
    parser = argparse.ArgumentParser(
        prog="app.py", description="LSNet Explorer: look inside LSNet on your own picture."
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, …; default: CUDA where there is one, else the CPU")
    host = environment.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else defaults.host)
    parser.add_argument("--host", default=host, help="address to serve on (0.0.0.0: to the network)")
    port = environment.get("GRADIO_SERVER_PORT") or None  # text: argparse reads and checks it as if it were typed
    parser.add_argument(
        "--port", type=int, default=port, help="port to serve on; default: the first free one from 7860 up"
    )
    parser.add_argument(
        "--model",
        default=defaults.model,
        help="what to open with: bundled, bundled/NAME, "
        "untrained/lsnet_b, 'untrained/lsnet_t?mixer=involution', or lsnet_b_distill (from the Hub)",
    )
    parser.add_argument("--weights", type=Path, help="a .safetensors or .pth file to open with")
    parser.add_argument("--threads", type=_count, help="CPU threads; default: measured at start")
    parser.add_argument("--share", action="store_true", help="ask gradio for a public link")
    return AppConfig(**vars(parser.parse_args(arguments)), on_space=on_space)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)
