"""How a long computation reports, and how it is told to stop."""

from collections.abc import Callable

# Called with the share that is done, 0…1. It may raise Cancelled, which a computation lets through.
Progress = Callable[[float], None]


class Cancelled(Exception):  # noqa: N818  # it is no error
    """Nobody waits for the result any more."""


class Overtaken(Cancelled):
    """The same visitor has asked for something else meanwhile."""


def silent(share: float) -> None:
    """A progress report that nobody reads."""
