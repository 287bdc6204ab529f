"""Random weights that nothing else in the process changes."""

import threading

import torch

from lsnet.seeding import seeded


def test_threads_do_not_draw_from_each_others_seed() -> None:
    with seeded(3):
        expected = torch.stack([torch.randn(100) for _ in range(50)])
    drawn = []

    def draw() -> None:
        with seeded(3):
            drawn.append(torch.stack([torch.randn(100) for _ in range(50)]))

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 8
    assert all(torch.equal(numbers, expected) for numbers in drawn)


def test_the_generator_stays_as_it_was() -> None:
    before = torch.get_rng_state()
    with seeded(3):
        torch.randn(10)
    assert torch.equal(torch.get_rng_state(), before)
