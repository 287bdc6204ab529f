"""Training: it learns, goes on after an interruption as if there had been none, and divides its work."""

import csv
import functools
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lsnet.errors import InputError
from lsnet.predictor import load_predictor
from lsnet.tools import crops, distill, export
from lsnet.tools.data import Source
from lsnet.tools.metrics import Tally
from lsnet.tools.processes import Processes
from lsnet.tools.recipe import Recipe
from lsnet.tools.run_files import RunFiles
from lsnet.tools.sets import Sets, decode
from lsnet.tools.train import main, train
from lsnet.tools.trainer import Trainer

ALONE = Processes(0, 1, torch.device("cpu"))
TINY = {"model": "lsnet_n", "options": {"mixer": "static"}, "batch_size": 8, "cache_side": 48, "eval_size": 64}
RECIPE = Recipe(**TINY, phases=((32, 2), (64, 1)), lr=1e-3)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sets(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Sets:
    return decode([Source(tree)], RECIPE, tmp_path_factory.mktemp("cache"))


def words(recipe: Recipe) -> list[str]:
    given = recipe.to_dict()
    return [word for key in given for word in (f"--{key.replace('_', '-')}", value_of(key, given[key]))]


def value_of(key: str, value: object) -> str:
    if key == "phases":
        assert isinstance(value, list)
        return ",".join(f"{size}:{epochs}" for size, epochs in value)
    return json.dumps(value)


def test_the_loss_falls_and_everything_is_written(tree: Path, tmp_path: Path) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"phases": [[32, 3], [64, 3]], "lr": 3e-3})
    output = tmp_path / "run"
    main(["--data", str(tree), "--cache", str(tmp_path / "cache"), "--output", str(output), *words(recipe)])
    log = json.loads((output / "log.json").read_text())
    assert log["log"][-1]["loss"] < 0.7 * log["log"][0]["loss"]
    assert [row["size"] for row in log["log"]] == [32, 32, 32, 64, 64, 64]
    with (output / "log.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == [row["loss"] for row in log["log"]]
    predictor = load_predictor(output / "last.safetensors", "cpu")
    assert [label.id for label in predictor.classes] == ["blue", "red"]
    assert predictor.preprocess.size == 64
    assert predictor.card.options["mixer"] == "static"
    assert predictor.card.label_set["en"] == "2 classes of its training pictures"
    training = predictor.card.training
    assert training["recipe"] == recipe.to_dict()
    assert training["accuracy"]["tints"]["pictures"] == 8
    assert (output / "best.safetensors").exists()


def test_the_best_is_among_epochs_that_were_tried_alike(
    sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"phases": [[32, 2], [64, 2]], "eval_size": 64})
    right = iter((8, 4, 6, 5))  # of eight pictures, after each epoch: the first one is best, at 32 pixels

    def evaluate(self: Trainer, size: int, limit: int | None = None) -> dict[str, Tally]:
        tally, labels = Tally(2), torch.zeros(8, dtype=torch.int64)
        tally.add(torch.nn.functional.one_hot((torch.arange(8) >= next(right)).long(), 2).float(), labels)
        return {"tints": tally}

    monkeypatch.setattr(Trainer, "evaluate", evaluate)
    train(Trainer(recipe, sets, ALONE), RunFiles(tmp_path))
    training = load_predictor(tmp_path / "best.safetensors", "cpu").card.training
    assert training["epochs"] == 3
    assert training["accuracy"]["tints"]["accuracy"] == 6 / 8


@pytest.mark.parametrize(
    "changes", [{}, {"ema_decay": 0.9, "mixup": 0.2, "options": {"mixer": "static", "drop_path_rate": 0.2}}]
)
def test_resuming_is_exact(
    sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"phases": [[32, 2]]} | changes)
    straight = Trainer(recipe, sets, ALONE)
    train(straight, RunFiles(tmp_path / "straight"))

    interrupted, files = Trainer(recipe, sets, ALONE), RunFiles(tmp_path / "interrupted", save_minutes=0)
    update = Trainer._update

    def fail_in_the_second_epoch(self: Trainer, rows: np.ndarray, size: int) -> float:
        if (self.epoch, self.update) == (1, 2):
            raise KeyboardInterrupt
        return update(self, rows, size)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", fail_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            train(interrupted, files)
    torch.rand(7)  # chance elsewhere in the process must not matter
    resumed, state = Trainer(recipe, sets, ALONE), files.load_state(ALONE.device)
    assert state is not None
    resumed.load_state(state)
    assert (resumed.epoch, resumed.update) == (1, 2)
    train(resumed, files)
    assert [row["loss"] for row in resumed.rows] == [row["loss"] for row in straight.rows]
    expected = straight.result.state_dict()
    for name, value in resumed.result.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_an_interruption_while_the_last_epoch_is_written_is_made_good(
    sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"phases": [[32, 1]], "warmup_epochs": 0.5})
    files = RunFiles(tmp_path / "run")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(export, "write_weights", fail)
        with pytest.raises(OSError, match="disk full"):
            train(Trainer(recipe, sets, ALONE), files)
    again, state = Trainer(recipe, sets, ALONE), files.load_state(ALONE.device)
    if state is not None:
        again.load_state(state)
    train(again, files)
    assert (files.folder / "last.safetensors").exists()


def test_a_run_is_not_overwritten_by_another(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.pt").write_bytes(b"a run")
    with pytest.raises(SystemExit):
        main(["--data", str(tree), "--output", str(tmp_path / "run")])
    assert (tmp_path / "run" / "state.pt").read_bytes() == b"a run"


def test_another_recipe_is_not_resumed(sets: Sets) -> None:
    state = Trainer(RECIPE, sets, ALONE).state()
    other = Trainer(Recipe.from_dict(RECIPE.to_dict() | {"lr": 0.5}), sets, ALONE)
    with pytest.raises(ValueError, match="other values of lr"):
        other.load_state(state)


def test_the_rate_warms_up_holds_and_falls(sets: Sets) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"phases": [[32, 10]], "warmup_epochs": 1, "decay_epochs": 2})
    trainer = Trainer(recipe, sets, ALONE)  # 4 updates an epoch
    rates = []
    for done in range(1, 41):
        trainer.scheduler.step_update(trainer._schedule_position(done))
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert rates[:3] == sorted(rates[:3])
    assert rates[3:32] == [pytest.approx(1e-3)] * 29
    # Half way down the cosine, and at its end.
    assert rates[35] == pytest.approx((1e-3 + recipe.min_lr) / 2)
    assert rates[39] == pytest.approx(recipe.min_lr)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_half_precision_learns_like_full_precision(sets: Sets, amp: str) -> None:
    losses = {}
    for precision in ("none", amp):
        trainer = Trainer(Recipe.from_dict(RECIPE.to_dict() | {"amp": precision}), sets, ALONE)
        losses[precision] = [trainer._update(np.arange(8), 32) for _ in range(6)]
        # Weights stay in full precision: autocast casts what is computed, not what is learned.
        assert {parameter.dtype for parameter in trainer.network.parameters()} == {torch.float32}
    # The first loss is of the same weights; later ones may lag, where the scaler skips updates until its scale fits.
    assert losses[amp][0] == pytest.approx(losses["none"][0], rel=0.01)
    assert losses[amp][0] != losses["none"][0]
    assert losses[amp][-1] < 0.95 * losses[amp][0]


def test_gradients_of_tiny_pictures_hold_nothing_that_was_in_memory_before(sets: Sets) -> None:
    """At 32 pixels, the last stage's downsampling sees a single one; see the trainer's choice of a memory format."""

    def litter(*_: object) -> None:
        for size in (256, 1728, 4096, 20_000, 400_000):
            torch.full((size,), torch.nan)  # freed at once, for whoever comes next

    trainer = Trainer(Recipe.from_dict(RECIPE.to_dict() | {"amp": "bf16"}), sets, ALONE)
    trainer.network.get_submodule("blocks4.0").register_full_backward_pre_hook(litter)
    for _ in range(8):
        assert np.isfinite(trainer._update(np.arange(8), 32))
    assert all(parameter.isfinite().all() for parameter in trainer.network.parameters())
    larger = Recipe.from_dict(RECIPE.to_dict() | {"amp": "bf16", "phases": [[64, 3]]})
    assert Trainer(larger, sets, ALONE).memory_format == torch.channels_last


def test_a_compiled_run_is_the_same_run(sets: Sets, monkeypatch: pytest.MonkeyPatch) -> None:
    # The graph as it is compiled, without the minutes that generating C++ for it takes.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    losses = []
    for compiled in (False, True):
        trainer = Trainer(Recipe.from_dict(RECIPE.to_dict() | {"compile": compiled}), sets, ALONE)
        losses.append([trainer._update(np.arange(8), 32) for _ in range(3)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("mode", ["second", "soft", "hard"])
def test_distillation_from_a_table(sets: Sets, tmp_path: Path, mode: str) -> None:
    classes = 5 if mode == "second" else 2
    table = torch.nn.functional.one_hot(torch.from_numpy(sets.labels), classes) * 4.0
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"phases": [[32, 2]], "distill": mode, "distill_weight": 0.5})
    trainer = Trainer(recipe, sets, ALONE, table)
    train(trainer, RunFiles(tmp_path))
    predictor = load_predictor(tmp_path / "last.safetensors", "cpu")  # strict: nothing of the second task is left
    assert predictor.model.config.distilled == (mode == "hard")
    assert trainer.rows[0]["loss"] > 0


def test_a_teacher_network_sees_the_same_crops(sets: Sets) -> None:
    class Redness(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            red = x[:, 0].mean(dim=(1, 2)) - x[:, 2].mean(dim=(1, 2))
            return torch.stack([-red, red], dim=1)

    recipe = Recipe.from_dict(RECIPE.to_dict() | {"distill": "soft", "mixup": 0.5})
    teacher = distill.Teacher(Redness(), 32, (0.0,) * 3, (1.0,) * 3)
    trainer = Trainer(recipe, sets, ALONE, teacher)
    seen: dict[str, torch.Tensor] = {}
    for name, network in (("teacher", teacher), ("student", trainer.student)):
        network.register_forward_pre_hook(lambda module, args, name=name: seen.update({name: args[0]}))
    trainer._update(np.arange(8), 32)
    torch.testing.assert_close(seen["student"], crops.normalize(seen["teacher"]))


@pytest.mark.parametrize("mode", ["soft", "hard"])
@pytest.mark.parametrize("classes", [1, 3, 1000])
def test_a_teacher_of_other_classes_is_refused(sets: Sets, mode: str, classes: int) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"distill": mode})
    with pytest.raises(InputError, match=f"same 2 classes .* got one of {classes}"):
        Trainer(recipe, sets, ALONE, torch.zeros(len(sets.labels), classes))


@pytest.mark.parametrize("mode", ["none", "second"])
def test_what_the_network_exempts_is_not_decayed(sets: Sets, mode: str) -> None:
    teacher = None if mode == "none" else torch.zeros(len(sets.labels), 5)
    trainer = Trainer(Recipe.from_dict(RECIPE.to_dict() | {"distill": mode}), sets, ALONE, teacher)
    biases = [p for name, p in trainer.network.named_parameters() if name.endswith("attention_biases")]
    decay = {id(p): group["weight_decay"] for group in trainer.optimizer.param_groups for p in group["params"]}
    assert biases
    assert {decay[id(p)] for p in biases} == {0}
    assert decay[id(trainer.network.head.l.weight)] == RECIPE.weight_decay > 0


@pytest.mark.parametrize(
    ("model", "options"),
    [("lsnet_n", {}), ("lsnet_n", {"img_size": 96}), ("ls_resnet50", {"drop_path_rate": 0.1}), ("ls_deit_tiny", {})],
)
def test_weights_of_every_family_come_back(sets: Sets, tmp_path: Path, model: str, options: dict[str, Any]) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"model": model, "options": options, "eval_size": 160})
    trainer = Trainer(recipe, sets, ALONE)
    export.write_weights(tmp_path / "weights.safetensors", trainer, {})
    predictor = load_predictor(tmp_path / "weights.safetensors", "cpu")
    side = 224 if model == "ls_deit_tiny" else 160
    x = torch.rand(1, 3, side, side)
    with torch.inference_mode():
        torch.testing.assert_close(predictor.model(x), trainer.network.eval()(x))
    assert predictor.preprocess.size == 160


def test_a_table_and_blended_pictures_do_not_go_together(sets: Sets) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"distill": "soft", "mixup": 0.5})
    with pytest.raises(ValueError, match="does not fit blended pictures"):
        Trainer(recipe, sets, ALONE, torch.zeros(32, 2))
    with pytest.raises(ValueError, match="teacher exactly where"):
        Trainer(recipe, sets, ALONE)


def test_two_processes_agree_with_one(tree: Path, tmp_path: Path) -> None:
    # Without batch norm, whose statistics are those of a process; plain SGD, which does not magnify rounding.
    recipe = Recipe.from_dict(
        RECIPE.to_dict()
        | {"model": "test_vit", "options": {"img_size": 32}, "phases": [[32, 2]], "opt": "sgd", "eval_size": 32}
    )
    given = ["--data", str(tree), "--cache", str(tmp_path / "cache"), *words(recipe)]
    main([*given, "--output", str(tmp_path / "one")])
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    subprocess.run(
        [*launch, "lsnet.tools.train", *given, "--output", str(tmp_path / "two")],
        check=True,
        capture_output=True,
        timeout=600,  # a hang, not slowness
        cwd=Path(__file__).parents[3],
        env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    one, two = (safetensors.torch.load_file(tmp_path / run / "last.safetensors") for run in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-4, msg=name)
    logs = [json.loads((tmp_path / run / "log.json").read_text()) for run in ("one", "two")]
    assert logs[0]["accuracy"] == logs[1]["accuracy"]


def test_nothing_holds_the_group_when_processes_part(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DistributedDataParallel as the last holder can hang; here one process is the whole group, and acts as two."""
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"phases": [[32, 2]]})
    wrappers: list[weakref.ref[DistributedDataParallel]] = []
    alive: list[DistributedDataParallel | None] = []

    def wrapped(module: nn.Module) -> DistributedDataParallel:
        wrapper = DistributedDataParallel(module)
        wrappers.append(weakref.ref(wrapper))
        return wrapper

    def leave(self: Processes) -> None:
        alive.extend(wrapper() for wrapper in wrappers)
        distributed.destroy_process_group()

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    monkeypatch.setattr(Processes, "join", lambda: Processes(0, 2, torch.device("cpu")))
    monkeypatch.setattr(Processes, "leave", leave)
    monkeypatch.setattr("lsnet.tools.trainer.DistributedDataParallel", wrapped)
    main(["--data", str(tree), "--cache", str(tmp_path / "cache"), "--output", str(tmp_path / "run"), *words(recipe)])
    assert alive == [None]


def test_a_run_can_begin_with_the_weights_of_another(sets: Sets, tmp_path: Path) -> None:
    recipe = Recipe.from_dict(RECIPE.to_dict() | {"phases": [[32, 2]]})
    first = Trainer(recipe, sets, ALONE)
    train(first, RunFiles(tmp_path / "first"), "the first command")
    second, files = Trainer(recipe, sets, ALONE), RunFiles(tmp_path / "second")
    second.start_from(RunFiles(tmp_path / "first"))
    for name, value in first.student.state_dict().items():
        assert torch.equal(second.student.state_dict()[name], value), name
    train(second, files)
    record = files.record()
    assert [run["command"] for run in record["earlier"]] == ["the first command"]
    with pytest.raises(ValueError, match="found no state"):
        second.start_from(RunFiles(tmp_path / "nowhere"))
