"""Which of several ``torchrun`` processes this is; one process where there is no ``torchrun``."""

import os
from dataclasses import dataclass

import torch
from torch import distributed


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
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(rank, count, device)

    def leave(self) -> None:
        if self.count > 1:
            distributed.destroy_process_group()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

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
            ValueError: the batch cannot be divided evenly.
        """
        if batch_size % self.count:
            raise ValueError(f"expected a batch size divisible by {self.count} processes, got {batch_size}")
        part = batch_size // self.count
        return slice(self.rank * part, (self.rank + 1) * part)
