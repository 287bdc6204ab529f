"""How many CPU threads a network runs fastest with."""

import os
import time
from pathlib import Path

import torch

from lsnet import Predictor

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "200000 100000": of every 100 ms, 200 ms of processor time; "max 100000"


def available_cores() -> int:
    """Cores that this process may use: a container is often given few of those that it sees."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text().split()
        return min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores


def faster_thread_count(predictor: Predictor) -> int:
    """One thread or all that there are cores for, whichever runs this network faster on one picture.

    More threads are not always faster: on a small machine under load they wait for each other.
    """
    available = min(torch.get_num_threads(), available_cores())
    if predictor.device.type != "cpu" or available == 1:
        return available
    batch = torch.zeros(1, 3, predictor.preprocess.size, predictor.preprocess.size)
    seconds = {}
    for threads in (1, available):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            predictor.model(batch)
            runs = []
            for _ in range(3):
                start = time.perf_counter()
                predictor.model(batch)
                runs.append(time.perf_counter() - start)
        seconds[threads] = min(runs)
    torch.set_num_threads(available)
    return min(seconds, key=lambda threads: seconds[threads])
