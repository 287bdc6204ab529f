"""Computations report while they run, stop when told, and never share the networks."""

import threading
import time
from collections.abc import Iterator

import pytest

from viz.progress import Cancelled, Overtaken, Progress
from viz.ui.runs import Runs


def counting(progress: Progress) -> Iterator[str]:
    for step in range(4):
        progress(step / 4)
        yield f"result {step}"


def test_reports_and_results_arrive_in_order() -> None:
    runs: Runs[str] = Runs(threading.Lock())
    assert list(runs.start("anna", counting)) == [
        *(0.0, "result 0", 0.25, "result 1"),
        *(0.5, "result 2", 0.75, "result 3"),
    ]


def test_waiting_for_the_networks_is_told() -> None:
    lock = threading.Lock()
    runs: Runs[str] = Runs(lock)
    lock.acquire()
    answers = runs.start("anna", counting)
    assert next(answers) == 0.0  # nothing has begun, and it says so
    lock.release()
    assert list(answers)[-1] == "result 3"


def test_an_error_reaches_the_one_who_waits_and_frees_the_networks() -> None:
    lock = threading.Lock()
    runs: Runs[str] = Runs(lock)

    def failing(progress: Progress) -> Iterator[str]:
        yield "half"
        raise ValueError("no")

    answers = runs.start("anna", failing)
    assert next(answers) == "half"
    with pytest.raises(ValueError, match="no"):
        next(answers)
    assert lock.acquire(timeout=1)


def test_a_later_computation_of_the_same_visitor_stops_the_earlier_one() -> None:
    lock = threading.Lock()
    runs: Runs[str] = Runs(lock)
    steps = []

    def endless(progress: Progress) -> Iterator[str]:
        yield "started"
        while True:
            steps.append(time.monotonic())
            progress(0.5)
            time.sleep(0.005)

    first = runs.start("anna", endless)
    assert next(first) == "started"
    assert list(runs.start("anna", counting))[-1] == "result 3"  # it had to wait for the lock
    with pytest.raises(Overtaken):
        list(first)
    count = len(steps)
    time.sleep(0.05)
    assert len(steps) == count


def test_stop_ends_it_and_others_go_on() -> None:
    runs: Runs[str] = Runs(threading.Lock())
    waiting = threading.Event()

    def slow(progress: Progress) -> Iterator[str]:
        yield "started"
        waiting.wait(5)
        progress(0.9)
        yield "finished"

    answers = runs.start("anna", slow)
    assert next(answers) == "started"
    runs.stop("berta")  # somebody else
    runs.stop("anna")
    waiting.set()
    with pytest.raises(Cancelled) as caught:
        list(answers)
    assert not isinstance(caught.value, Overtaken)
    assert list(runs.start("berta", counting))


def test_two_visitors_take_turns() -> None:
    runs: Runs[str] = Runs(threading.Lock())
    inside: list[str] = []

    def alone(name: str) -> Iterator[str]:
        inside.append(name)
        time.sleep(0.02)
        assert inside == [name]
        yield name
        inside.remove(name)

    threads = [
        threading.Thread(target=lambda name=name: list(runs.start(name, lambda progress: alone(name))))  # type: ignore[misc]
        for name in ("anna", "berta", "carla")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert inside == []
