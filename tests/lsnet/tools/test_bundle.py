"""Bundling: half precision, and a card whose numbers are those of the file."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

from lsnet.errors import InputError
from lsnet.predictor import load_predictor
from lsnet.tools.bundle import bundle
from lsnet.tools.data import Source
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import Recipe
from lsnet.tools.run_files import RunFiles
from lsnet.tools.sets import decode
from lsnet.tools.train import train
from lsnet.tools.trainer import Trainer
from lsnet.tools.validate import main as validate


def test_the_card_says_what_validate_finds(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"mixer": "static"}
    recipe = Recipe("lsnet_n", options, ((32, 2),), 8, lr=1e-3, cache_side=48, eval_size=64)
    sets = decode([Source(tree)], recipe, tmp_path / "cache")
    trainer = Trainer(recipe, sets, Processes(0, 1, torch.device("cpu")))
    train(trainer, RunFiles(tmp_path / "run"), "python -m lsnet.tools.train …")
    args = argparse.Namespace(data=[tree], dataset=[], held_out=0.2, cache=tmp_path / "cache", root=tmp_path)
    path = bundle(tmp_path / "run", "tiny", args, tmp_path)

    before = path.read_bytes()
    with pytest.raises(InputError, match="measured accuracies"):
        bundle(tmp_path / "run", "tiny", argparse.Namespace(**{**vars(args), "data": []}), tmp_path)
    assert path.read_bytes() == before  # what is bundled is not touched before the new weights are measured

    predictor = load_predictor(path, "cpu")
    top1 = predictor.card.training["accuracy"]["tints"]
    assert path.stat().st_size < 0.55 * (tmp_path / "run" / "last.safetensors").stat().st_size
    capsys.readouterr()
    validate(["--weights", str(path), "--data", str(tree), "--cache", str(tmp_path / "cache")])
    assert f"top-1 {100 * top1['accuracy']:.1f} %" in capsys.readouterr().out
    text = path.with_suffix(".md").read_text()
    interval = f"{100 * top1['accuracy']:.1f} % [{100 * top1['low']:.1f}, {100 * top1['high']:.1f}]"
    assert f"| tints | 8 | {interval} |" in text
    assert "with the mixer `static` in place of its LS convolutions" in text
    assert "`tints`, 32 training pictures: a set of the user's." in text
    assert "`python -m lsnet.tools.train …`" in text
    assert "It was trained on 32 pictures, and knows each class as its set shows it. Not for" in text
    assert "Caltech" not in text  # what is said about known sets is said of them alone


def test_an_unfinished_run_is_not_bundled(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe("lsnet_n", {}, ((32, 2),), 8, lr=1e-3, cache_side=48, eval_size=64)
    trainer = Trainer(recipe, decode([Source(tree)], recipe, tmp_path / "cache"), Processes(0, 1, torch.device("cpu")))
    files, save = RunFiles(tmp_path / "run"), RunFiles.save_epoch

    def stop_after_the_first(*arguments: Any) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFiles, "save_epoch", stop_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        train(trainer, files)
    args = argparse.Namespace(data=[tree], dataset=[], held_out=0.2, cache=tmp_path / "cache", root=tmp_path)
    with pytest.raises(InputError, match="resume it first"):
        bundle(tmp_path / "run", "tiny", args, tmp_path)
