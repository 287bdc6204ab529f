"""Where files about visitors' pictures lie: what the server serves, and what it does not."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UPLOAD_SECONDS = 3000  # after which an upload is deleted: what is analysed has a copy
UPLOAD_BYTES = 2**32  # that they may take together, as of the last sweep


class Folders:
    """Temporary folders, deleted with the program.

    Attributes:
        served: holds a folder for each analysis, under its unguessable key, for the server to serve from.
        uploads: where Gradio puts what visitors upload. It serves a file of these to whoever can name it, which takes
            the checksum of its contents: to its owner, that is.
    """

    def __init__(self) -> None:
        self._served = tempfile.TemporaryDirectory(prefix="lsnet-explorer-")
        self._private = tempfile.TemporaryDirectory(prefix="lsnet-explorer-private-")
        self.served = Path(self._served.name)
        self.uploads = Path(self._private.name) / "uploads"
        self.uploads.mkdir()

    @contextmanager
    def making(self, key: str) -> Iterator[None]:
        """The folder of an analysis that is being made; if that fails, nothing of it is left."""
        self.of(key).mkdir()
        try:
            yield
        except BaseException:
            self.remove(key)  # nobody will ask for it, and no sweep would find it
            raise

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
        """Delete uploads by their age, those that broke off halfway included, and the oldest of too many."""
        oldest, room = time.time() - UPLOAD_SECONDS, UPLOAD_BYTES
        found = []
        for path in self.uploads.rglob("*"):
            with suppress(OSError):  # gone already
                found.append((path.stat().st_mtime, path, path.stat().st_size))
        for changed, path, size in sorted(found, reverse=True):
            room -= size
            with suppress(OSError):  # gone already, or a folder with something new in it
                if path.is_dir():
                    if changed < oldest:
                        path.rmdir()
                elif changed < oldest or room < 0:
                    path.unlink()


def bytes_in(folder: Path) -> int:
    """How large the files in a folder are; 0 where it is gone."""
    total = 0
    with suppress(OSError):  # another thread deletes it
        for path in folder.iterdir():
            total += path.stat().st_size
    return total
