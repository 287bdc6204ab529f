"""Processes that work together: what they write about how they were begun."""

import threading
import time

import pytest
import torch

from lsnet.tools.processes import Processes


def test_the_recorded_command_can_be_typed_again_and_tells_no_folders() -> None:
    words = ["--data", "/home/someone/pictures.tar", "--output", "runs/a b"]
    alone, third = Processes(0, 1, torch.device("cpu")), Processes(2, 4, torch.device("cpu"))
    assert alone.command("m.train", words) == "python -m m.train --data pictures.tar --output 'runs/a b'"
    assert third.command("m.train", words).startswith("torchrun --nproc-per-node 4 -m m.train --data ")


def test_the_others_begin_when_the_leader_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting, done = threading.Barrier(3), []
    monkeypatch.setattr(Processes, "wait", lambda self: meeting.wait(30))

    def work(rank: int) -> None:
        with Processes(rank, 3, torch.device("cpu")).leader_first():
            time.sleep(0 if rank else 0.2)  # the others would be first
            done.append(rank)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (2, 1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done[0] == 0
    assert sorted(done) == [0, 1, 2]
