"""Processes that work together: what they write about how they were begun."""

import torch

from lsnet.tools.processes import Processes


def test_the_recorded_command_can_be_typed_again_and_tells_no_folders() -> None:
    words = ["--data", "/home/someone/pictures.tar", "--output", "runs/a b"]
    alone, third = Processes(0, 1, torch.device("cpu")), Processes(2, 4, torch.device("cpu"))
    assert alone.command("m.train", words) == "python -m m.train --data pictures.tar --output 'runs/a b'"
    assert third.command("m.train", words).startswith("torchrun --nproc-per-node 4 -m m.train --data ")
