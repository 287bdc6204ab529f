"""Which of several ``torchrun`` processes this is; one process where there is no ``torchrun``."""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from lsnet.errors import InputError

PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Processes:
    """This process among those that work together.

    Attributes:
        rank: number of this process, from 0.
        count: how many there are.
        device: where this process computes.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls) -> "Processes":
        """Read torchrun's environment and join its group: NCCL where there are GPUs, Gloo otherwise."""
        rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        local = int(os.environ.get("LOCAL_RANK", 0))
        device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if count > 1:
            # One process decodes, downloads or measures while the others wait: longer than torch's half an hour.
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        return cls(rank, count, device)

    def leave(self) -> None:
        if self.count > 1:
            distributed.destroy_process_group()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leading process does what is inside while the others wait; then they do, and find its files."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def command(self, module: str, words: Sequence[str]) -> str:
        """The command line that began this work, for the record; of full paths only the last part.

        Args:
            module: such as ``"lsnet.tools.train"``.
            words: what followed it.
        """
        launcher = ["python"] if self.count == 1 else ["torchrun", "--nproc-per-node", str(self.count)]
        told = [Path(word).name if Path(word).is_absolute() else word for word in words]
        return shlex.join([*launcher, "-m", module, *told])

    def slowest(self, seconds: float) -> float:
        """The greatest of all processes' times."""
        if self.count == 1:
            return seconds
        times = torch.tensor(seconds, device=self.device)
        distributed.all_reduce(times, distributed.ReduceOp.MAX)
        return times.item()

    def share(self, batch_size: int) -> slice:
        """This process's part of a batch.

        Raises:
            InputError: the batch cannot be divided evenly.
        """
        if batch_size % self.count:
            raise InputError(
                "train.batch", f"expected a batch size divisible by {self.count} processes, got {batch_size}"
            )
        part = batch_size // self.count
        return slice(self.rank * part, (self.rank + 1) * part)
