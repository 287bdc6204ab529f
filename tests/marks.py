"""What some tests need beyond Python packages that are always there."""

import importlib
import importlib.util

import pytest

from lsnet.tools import corruptions


def _loads(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:  # it is not there, or a library of the system that it loads is not
        return False
    return True


needs_corruptions = pytest.mark.skipif(
    not _loads("imagecorruptions"),
    reason=f"needs {corruptions.PACKAGE}, whose OpenCV needs libGL.so.1 (Debian's libgl1)",
)
