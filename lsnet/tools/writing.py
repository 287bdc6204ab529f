"""Files that others may be reading, or that an interruption must not break."""

import uuid
from pathlib import Path


def write_in_one_step(path: Path, text: str) -> None:
    """Write a file that is never seen half-written: an interruption leaves the old one or the new one."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
