"""Validation: counts that can be checked by hand, files that spreadsheets read, sets that do not fit."""

import csv
import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import lsnet
from lsnet.errors import InputError
from lsnet.labels import Label
from lsnet.predictor import load_predictor
from lsnet.preprocess import Preprocess
from lsnet.tools.validate import main
from lsnet.weights import WeightsCard, save_weights


def weights(path: Path, ids: tuple[str, ...]) -> Path:
    """Weights that call everything the second class."""
    model = timm.create_model("lsnet_n", num_classes=len(ids), mixer="static", img_size=64)
    assert isinstance(model, lsnet.LSNet)
    with torch.no_grad():
        model.head.l.weight.zero_()
        model.head.l.bias.copy_(torch.eye(len(ids))[1])
    card = WeightsCard(
        "lsnet_n",
        {"mixer": "static", "img_size": 64},
        tuple(Label(name, f"the {name}", name) for name in ids),
        preprocess=Preprocess(size=64),
    )
    save_weights(path, model, card)
    return path


def test_counts_by_hand(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = weights(tmp_path / "w.safetensors", ("blue", "red", "other"))
    outputs = ["--json", str(tmp_path / "r.json"), "--per-class", str(tmp_path / "c.csv")]
    main(["--weights", str(path), "--data", str(tree), "--cache", str(tmp_path / "cache"), *outputs])
    outcome = json.loads((tmp_path / "r.json").read_text())
    (result,) = outcome["sets"]
    # All of 4 blue and 4 red pictures are called red.
    assert (result["top1"]["accuracy"], result["top1"]["pictures"]) == (0.5, 8)
    assert result["top5"]["accuracy"] == 1
    assert result["mean_per_class"] == 0.5
    assert result["worst_pairs"] == [{"true": "blue", "predicted": "red", "pictures": 4}]
    assert result["pictures_per_second"] > 0
    assert outcome["command"].startswith("python -m lsnet.tools.validate --weights w.safetensors")
    assert outcome["versions"]["torch"] == importlib.metadata.version("torch")
    assert len(outcome["digest"]) == 12
    with (tmp_path / "c.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["name"], float(row["accuracy"]), row["most_often_mistaken_for"]) for row in rows] == [
        ("blue", "the blue", 0, "red"),
        ("red", "the red", 1, ""),
    ]
    assert "the blue taken for the red: 4 of 4" in capsys.readouterr().out


def test_a_batch_is_what_the_predictor_computes(tree: Path, tmp_path: Path) -> None:
    from lsnet.tools import crops
    from lsnet.tools.data import Source
    from lsnet.tools.validate import matched_pictures

    predictor = load_predictor(weights(tmp_path / "w.safetensors", ("blue", "red")), "cpu")
    pictures = matched_pictures(Source(tree), predictor, tmp_path / "cache")
    ours = crops.normalize(torch.from_numpy(np.array(pictures.pixels[:1])).permute(0, 3, 1, 2).float() / 255)
    theirs = predictor.preprocess(Image.open(tree / pictures.members[0]).convert("RGB"))
    torch.testing.assert_close(ours[0], theirs)


def test_unknown_classes_are_refused(tree: Path, tmp_path: Path) -> None:
    path = weights(tmp_path / "w.safetensors", ("blue", "green"))
    with pytest.raises(InputError, match="do not know 1 classes of tints, such as 'red'"):
        main(["--weights", str(path), "--data", str(tree), "--cache", str(tmp_path / "cache")])
