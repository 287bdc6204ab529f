"""What a browser hands over, which may say anything: a file that it has uploaded, or a picture within the message."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsnet import InputError
from viz.images import load_picture
from viz.ui.analysis import Picture


def received(told: Mapping[str, Any], uploads: Path) -> Picture:
    """The picture that a message is about; a file is not yet opened.

    Gradio checks that a file is an upload only where the message says that it is one, so it is checked here.

    Args:
        told: the message, as Gradio describes files: ``path``, or ``url`` with the data itself.
        uploads: where uploads lie; no other file of this machine is a visitor's to name.

    Raises:
        InputError: there is no picture in the message, or no such upload.
    """
    path, url = told.get("path"), told.get("url")
    if isinstance(url, str) and url.startswith("data:"):
        try:
            return load_picture(base64.b64decode(url.partition(",")[2], validate=True))
        except binascii.Error:
            raise InputError("image.unreadable", "expected a picture in base64") from None
    if not isinstance(path, str) or not path:
        raise InputError("image.none", "expected a picture, got none")
    # With a null in it, it is no path at all.
    if "\0" in path or not Path(path).resolve().is_relative_to(uploads.resolve()):
        raise InputError("image.not_found", "expected a file that was uploaded")
    return Path(path)
