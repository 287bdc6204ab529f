"""The zoo: what is planned, and a table that says what the runs' logs say."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from lsnet import LSNet
from lsnet.complexity import counted_cost
from lsnet.registry import create_lsnet
from lsnet.tools import zoo
from lsnet.tools.recipe import Recipe
from lsnet.tools.zoo import (
    END,
    READMES,
    START,
    collect,
    finished,
    mean_and_spread,
    plan,
    read_table,
    run_folder,
    summary,
    timed,
    write_table,
)

RECIPE = Recipe("lsnet_n", phases=((32, 2.0),)).to_dict()


def log_run(
    output: Path,
    mixer: str,
    seed: int,
    accuracy: float,
    epochs: int = 2,
    lr: float = 1e-3,
    options: Mapping[str, object] = MappingProxyType({}),
) -> None:
    folder = run_folder(output, mixer, seed)
    folder.mkdir(parents=True)
    rate = {"accuracy": accuracy, "low": 0.0, "high": 1.0, "pictures": 8}
    recipe = RECIPE | {"options": {**options, "mixer": mixer}, "seed": seed, "lr": lr}
    record = {"epochs": epochs, "minutes": 1.5, "recipe": recipe, "accuracy": {"tints": rate}}
    (folder / "log.json").write_text(json.dumps(record))


def test_every_mixer_has_two_seeds_and_three_have_three() -> None:
    runs = plan()
    assert len(set(runs)) == len(runs) == 13
    assert [mixer for mixer, seed in runs if seed == 0] == ["ls", "none", "static", "small", "attention"]
    assert {mixer for mixer, seed in runs if seed == 2} == {"ls", "static", "attention"}


def test_the_table_is_made_of_finished_runs(tmp_path: Path) -> None:
    log_run(tmp_path, "ls", 0, 0.5)
    log_run(tmp_path, "ls", 1, 0.7)
    log_run(tmp_path, "none", 0, 0.25)
    log_run(tmp_path, "static", 0, 0.9, epochs=1)
    assert not finished(run_folder(tmp_path, "static", 0))
    readme, table = tmp_path / "README.md", tmp_path / "zoo.csv"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    took = {"ls": 8.0, "none": 4.0}
    rows = [row | {"milliseconds": took[row["mixer"]], "machine": "an abacus"} for row in collect(tmp_path)[0]]
    write_table(rows, table, [readme])
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| 60.0 % (50.0 to 70.0) |" in text
    assert "| 25.0 % (one seed) |" in text
    assert "| 8.0 ms (1.00 ×) |" in text
    assert "| 4.0 ms (0.50 ×) |" in text
    assert "static" not in text
    assert "on an abacus." in text
    assert [(row["mixer"], row["seed"], row["tints accuracy"]) for row in read_table(table)] == [
        ("ls", "0", "0.5"),
        ("none", "0", "0.25"),
        ("ls", "1", "0.7"),
    ]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_the_readmes_say_what_the_bundled_table_says(readme: Path) -> None:
    told = readme.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    assert told.strip() == summary(read_table())


def test_runs_that_differ_in_more_are_not_compared(tmp_path: Path) -> None:
    log_run(tmp_path, "ls", 0, 0.5)
    log_run(tmp_path, "none", 0, 0.5, lr=2e-3)
    with pytest.raises(ValueError, match="mixer and seed only"):
        collect(tmp_path)


def test_costs_are_those_of_the_network_without_its_classifier(tmp_path: Path) -> None:
    log_run(tmp_path, "ls", 0, 0.5)
    log_run(tmp_path, "none", 0, 0.5)
    model = create_lsnet("lsnet_n", num_classes=0, mixer="none").eval().fuse()
    rows = {row["mixer"]: row for row in collect(tmp_path)[0]}
    assert rows["none"]["parameters"] == sum(p.numel() for p in model.parameters())
    assert rows["none"]["macs"] == counted_cost(model, (1, 3, 224, 224)).macs < rows["ls"]["macs"]


def test_networks_of_one_mixer_are_timed_once() -> None:
    same = {"model": "lsnet_n", "size": 32}
    rows = [{**same, "mixer": mixer, "seed": seed} for mixer, seed in (("ls", 0), ("none", 0), ("ls", 1))]
    first, other, again = timed(rows, {"kernel_large": 3}, seconds=0.0)
    assert first["milliseconds"] == again["milliseconds"] > 0
    assert other["milliseconds"] > 0
    assert first["machine"]


def test_networks_are_timed_with_their_runs_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_run(tmp_path, "ls", 0, 0.5, options={"kernel_large": 3})
    runs, built = collect(tmp_path), []

    def recorded(name: str, **options: object) -> LSNet:
        built.append((name, options))
        return create_lsnet("lsnet_n", img_size=32)

    monkeypatch.setattr(zoo, "create_lsnet", recorded)
    timed(*runs, seconds=0.0)
    assert built == [("lsnet_n", {"mixer": "ls", "kernel_large": 3, "img_size": 224})]


def test_mean_and_spread_by_hand() -> None:
    assert mean_and_spread([10.0, 20.0, 60.0]) == "30.0 % (10.0 to 60.0)"
