"""Counts and intervals, against values worked out by hand."""

import pytest
import torch

from lsnet.tools.metrics import Tally, wilson


def test_wilson_interval_by_hand() -> None:
    # p = 8/10, z² = 3.8416: centre (0.8 + 0.19208) / 1.38416, half 1.96 / 1.38416 · sqrt(0.016 + 0.009604).
    rate = wilson(8, 10, z=1.96)
    assert (rate.low, rate.high) == pytest.approx((0.71674 - 0.22658, 0.71674 + 0.22658), abs=2e-4)


@pytest.mark.parametrize(("hits", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (0, 0, 0, 1)])
def test_wilson_at_the_ends(hits: int, total: int, low: float, high: float) -> None:
    # With no hits the upper end is z² / (n + z²).
    rate = wilson(hits, total)
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=1e-4)


def test_wilson_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="hits"):
        wilson(3, 2)


def test_tally_counts() -> None:
    tally = Tally(7)
    logits = torch.eye(7)[[0, 0, 1, 6]] * 2 - torch.arange(7) * 0.1
    tally.add(logits, torch.tensor([0, 1, 1, 6]))  # right, 1 taken for 0, right, right
    tally.add(logits[:1], torch.tensor([6]))  # 6 taken for 0; 6 is the last of all
    assert (tally.accuracy.hits, tally.accuracy.total) == (3, 5)
    assert tally.accuracy_top5.hits == 4
    assert (tally.of_class(1).hits, tally.of_class(1).total) == (1, 2)
    assert tally.mean_per_class == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert sorted(tally.worst_pairs()) == [(1, 0, 1), (6, 0, 1)]
