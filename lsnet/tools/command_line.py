"""How the tools end when the person at the keyboard can mend what is wrong."""

import sys
from collections.abc import Callable

from lsnet.errors import InputError


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool; of an :class:`InputError`, only its sentence reaches the terminal, with exit status 1."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
