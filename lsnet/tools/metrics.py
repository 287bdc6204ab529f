"""Accuracy with its uncertainty, overall, per class and per pair of classes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rate:
    """A share of successes and its 95 % Wilson interval.

    Attributes:
        hits, total: counts.
        low, high: ends of the interval.
    """

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else float("nan")

    def to_dict(self) -> dict[str, float]:
        """Rounded to 1e-4, which is finer than any interval here."""
        return {
            "accuracy": round(self.value, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "pictures": self.total,
        }

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def wilson(hits: int, total: int, z: float = 1.959964) -> Rate:
    """The share ``hits / total`` with its Wilson score interval; ``z`` is the normal quantile (95 % by default).

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not 0 <= hits <= total:
        raise ValueError(f"expected 0 <= hits <= total, got {hits} of {total}")
    if total == 0:
        return Rate(0, 0, 0.0, 1.0)
    share, spread = hits / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * ((share * (1 - share) + spread / 4) / total) ** 0.5
    return Rate(hits, total, max(middle - half, 0.0), min(middle + half, 1.0))


class Tally:
    """Counts of what was predicted for what, filled batch by batch.

    Attributes:
        confusion: (K, K) counts, true class by predicted class.
        top5: (K,) counts of pictures whose class was among the five likeliest.
    """

    def __init__(self, num_classes: int) -> None:
        self.confusion: npt.NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)
        self.top5: npt.NDArray[np.int64] = np.zeros(num_classes, np.int64)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (B, K) and true classes (B,)."""
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices.cpu()
        labels = labels.cpu()
        np.add.at(self.confusion, (labels.numpy(), best[:, 0].numpy()), 1)
        np.add.at(self.top5, labels.numpy(), (best == labels[:, None]).any(dim=1).numpy().astype(np.int64))

    def merge(self) -> None:
        """Add up the counts of all processes, in all of them, where several run."""
        if not torch.distributed.is_available() or not torch.distributed.is_initialized():
            return
        device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
        for counts in (self.confusion, self.top5):
            total = torch.from_numpy(counts).to(device)
            torch.distributed.all_reduce(total)
            counts[:] = total.cpu().numpy()

    @property
    def accuracy(self) -> Rate:
        """Top-1."""
        return wilson(int(self.confusion.trace()), int(self.confusion.sum()))

    @property
    def accuracy_top5(self) -> Rate:
        return wilson(int(self.top5.sum()), int(self.confusion.sum()))

    @property
    def mean_per_class(self) -> float:
        """Top-1 of each class that has pictures, averaged: every class counts alike."""
        totals = self.confusion.sum(axis=1)
        seen = totals > 0
        return float((self.confusion.diagonal()[seen] / totals[seen]).mean()) if seen.any() else float("nan")

    def of_class(self, index: int) -> Rate:
        """Top-1 among the pictures of one class (recall)."""
        row = self.confusion[index]
        return wilson(int(row[index]), int(row.sum()))

    def worst_pairs(self, count: int = 10) -> list[tuple[int, int, int]]:
        """(true class, predicted class, pictures) of the most frequent mistakes."""
        mistakes = self.confusion.copy()
        np.fill_diagonal(mistakes, 0)
        order = np.argsort(mistakes, axis=None, kind="stable")[::-1][:count]
        pairs = [(int(i) // len(mistakes), int(i) % len(mistakes)) for i in order]
        return [
            (true, predicted, int(mistakes[true, predicted])) for true, predicted in pairs if mistakes[true, predicted]
        ]
