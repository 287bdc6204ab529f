"""The files of a run: log.csv, log.json, state.pt to resume from, best and last weights."""

import csv
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lsnet.errors import InputError
from lsnet.tools import export
from lsnet.tools.metrics import Tally
from lsnet.tools.writing import write_in_one_step

if TYPE_CHECKING:
    from lsnet.tools.trainer import Trainer


class RunFiles:
    """Writes a run to a folder.

    Args:
        folder: made where it does not exist.
        save_minutes: time between states saved within an epoch.
    """

    def __init__(self, folder: Path, save_minutes: float = 5.0) -> None:
        self.folder, self.save_seconds = folder, 60 * save_minutes
        self._saved = time.monotonic()

    def state_due(self) -> bool:
        """Whether the last state is older than it should be."""
        return time.monotonic() - self._saved > self.save_seconds

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state in one step, so that an interruption leaves the old one or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / "state.part"
        torch.save(dict(state), part)
        part.replace(self.folder / "state.pt")
        self._saved = time.monotonic()

    def load_state(self, device: torch.device) -> dict[str, Any] | None:
        """The saved state, or None where there is none yet."""
        path = self.folder / "state.pt"
        return torch.load(path, map_location=device, weights_only=True) if path.exists() else None

    def record(self) -> dict[str, Any]:
        """What ``log.json`` says about the run, without the log of its epochs."""
        path = self.folder / "log.json"
        if not path.exists():
            raise InputError("train.no_epoch", f"the run in {self.folder.name!r} has not finished its first epoch")
        record: dict[str, Any] = json.loads(path.read_text())
        return {key: value for key, value in record.items() if key != "log"}

    def save_epoch(self, trainer: "Trainer", tallies: Mapping[str, Tally], command: str) -> None:
        """Write logs, weights and state after an epoch's evaluation.

        The state comes last: whoever is interrupted before it does this epoch's end again, and nothing is missing.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = trainer.rows
        with (self.folder / "log.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        results = {name: tally.accuracy.to_dict() for name, tally in tallies.items()}
        record = export.training_record(trainer, results, command)
        write_in_one_step(self.folder / "log.json", json.dumps(record | {"log": rows}, indent=1, ensure_ascii=False))
        export.write_weights(self.folder / "last.safetensors", trainer, record)
        names = list(tallies)
        # Only epochs that were tried at the same size, on the same pictures, can be better or worse.
        alike = [row for row in rows if all(row.get(key) == rows[-1][key] for key in ("eval_size", "eval_pictures"))]
        scores = [sum(row[name] for name in names) for row in alike]
        if names and scores[-1] == max(scores):
            export.write_weights(self.folder / "best.safetensors", trainer, record)
        self.save_state(trainer.state())
