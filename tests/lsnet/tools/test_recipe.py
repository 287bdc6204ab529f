"""Recipes: from files and options, checked, and comparable."""

import argparse
import json
from pathlib import Path

import pytest

from lsnet.errors import InputError
from lsnet.tools.recipe import Recipe, add_arguments, from_arguments, with_network


def parse(*words: str) -> Recipe:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_arguments(parser.parse_args(words))


def test_options_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"model": "lsnet_n", "phases": [[64, 2]], "lr": 0.1, "options": {"mixer": "none"}}))
    recipe = parse("--recipe", str(path), "--phases", "64:2,96:1", "--compile", "true")
    assert recipe == Recipe("lsnet_n", {"mixer": "none"}, ((64, 2.0), (96, 1.0)), lr=0.1, compile=True)


def test_a_recipe_survives_json() -> None:
    recipe = Recipe(options={"mixer": "static"}, phases=((64, 1), (96, 2)), scale=(0.5, 1.0))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_phases_follow_each_other() -> None:
    recipe = Recipe(phases=((64, 2), (96, 1)))
    assert [recipe.size(epoch) for epoch in range(3)] == [64, 64, 96]
    with pytest.raises(ValueError, match="below 3"):
        recipe.size(3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phases", ()),
        ("phases", ((16, 1),)),
        ("lr", 0),
        ("distill", "some"),
        ("decay_epochs", 99),
        ("warmup_epochs", 11),
        ("flip", 2),
        ("compile", "False"),  # a string that is not false
        ("lr", ".003"),
        ("batch_size", 0.5),
        ("seed", True),
    ],
)
def test_impossible_recipes_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        Recipe(**{field: value})  # type: ignore[arg-type]


def test_a_phase_may_last_a_part_of_an_epoch() -> None:
    recipe = Recipe(phases=((64, 1.75), (96, 0.25)))
    assert recipe.epochs == 2
    assert [recipe.size(epoch) for epoch in (1.5, 1.74, 1.75, 1.99)] == [64, 64, 96, 96]
    with pytest.raises(ValueError, match="whole epochs"):
        Recipe(phases=((64, 1.5),))


def test_a_run_can_change_its_length_until_its_rate_falls() -> None:
    long, short = (Recipe(phases=((64, epochs), (96, 1)), decay_epochs=2) for epochs in (9, 4))
    assert short.begins_like(long, 3)
    assert not short.begins_like(long, 3.1)  # 5 epochs, of which the last 2 fall
    later = Recipe(phases=((64, 9), (96, 1)), decay_epochs=3)
    assert later.begins_like(long, 7)  # where the rate begins to fall does not matter before it does
    assert not later.begins_like(long, 7.1)
    assert not Recipe(phases=((96, 5),), decay_epochs=2).begins_like(long, 1)
    assert not Recipe(phases=((64, 4), (96, 1)), decay_epochs=2, lr=0.1).begins_like(long, 1)


def test_bundled_recipes_are_recipes() -> None:
    folder = Path(__file__).parents[3] / "assets" / "weights" / "recipes"
    for path in folder.glob("*.json"):
        Recipe.from_dict(json.loads(path.read_text()))


def test_a_settled_network_keeps_what_its_recipe_says_besides(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"model": "lsnet_n", "options": {"img_size": 160}, "lr": 0.1}))
    words = ["--recipe", str(recipe), "--options", '{"drop_path_rate": 0.1}', "--lr", "0.2"]
    settled = parse(*with_network(words, "lsnet_t", {"kernel_small": 5}))
    assert settled.model == "lsnet_t"
    assert settled.options == {"img_size": 160, "drop_path_rate": 0.1, "kernel_small": 5}
    assert settled.lr == 0.2
    assert parse(*with_network(words, "ls_resnet50", {})).options == {"drop_path_rate": 0.1}  # it has no img_size


@pytest.mark.parametrize("words", [["--model", "lsnet_b"], ["--options", '{"kernel_small": 3}']])
def test_a_settled_network_is_not_exchanged(words: list[str]) -> None:
    with pytest.raises(InputError, match="its name says which it is"):
        with_network(words, "lsnet_t", {"kernel_small": 5})
