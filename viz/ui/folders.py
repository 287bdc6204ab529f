"""Where files about visitors' pictures lie: what the server serves, and what it does not."""

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

UPLOAD_SECONDS = 3000  # after which an upload is deleted: what is analysed has a copy


class Folders:
    """Temporary folders, deleted with the program.

    Attributes:
        served: holds a folder for each analysis, under its unguessable key, for the server to serve from.
        uploads: where Gradio puts what visitors upload; not served.
    """

    def __init__(self) -> None:
        self._served = tempfile.TemporaryDirectory(prefix="lsnet-explorer-")
        self._private = tempfile.TemporaryDirectory(prefix="lsnet-explorer-private-")
        self.served = Path(self._served.name)
        self.uploads = Path(self._private.name) / "uploads"
        self.uploads.mkdir()

    def of(self, key: str) -> Path:
        """What is served about an analysis."""
        return self.served / key

    def payload(self, key: str) -> Path:
        """The trace as the browser reads it."""
        return self.of(key) / "trace.lsnx"

    def copy(self, key: str) -> Path:
        """A visitor's picture, to look at it again; not served."""
        return Path(self._private.name) / key

    def remove(self, key: str) -> None:
        """Delete all that lies there of an analysis."""
        shutil.rmtree(self.of(key), ignore_errors=True)
        self.copy(key).unlink(missing_ok=True)

    def sweep_uploads(self) -> None:
        """Delete uploads by their age, those that broke off halfway included."""
        oldest = time.time() - UPLOAD_SECONDS
        for path in self.uploads.rglob("*"):
            with suppress(OSError):  # gone already, or a folder with something new in it
                if path.stat().st_mtime < oldest:
                    path.rmdir() if path.is_dir() else path.unlink()


def bytes_in(folder: Path) -> int:
    """How large the files in a folder are; 0 where it is gone."""
    total = 0
    with suppress(OSError):  # another thread deletes it
        for path in folder.iterdir():
            total += path.stat().st_size
    return total
