"""Distillation: losses by hand, tables of logits, and a teacher that keeps still."""

from math import log
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

import lsnet  # noqa: F401 (registers the models)
from lsnet.errors import InputError
from lsnet.tools.data import Pictures, Source, training_pictures
from lsnet.tools.distill import (
    Teacher,
    WithSecondTask,
    hard_loss,
    load_table,
    save_table,
    soft_loss,
    teacher_logits,
    teacher_of,
)


@pytest.fixture
def pictures(tree: Path, tmp_path: Path) -> Pictures:
    return training_pictures(Source(tree), ("blue", "red"), 32, tmp_path)


def test_soft_loss_by_hand() -> None:
    # Student (1/2, 1/2), teacher (3/4, 1/4): 3/4 ln(3/2) + 1/4 ln(1/2).
    student, teacher = torch.zeros(1, 2), torch.tensor([[log(3.0), 0.0]])
    assert soft_loss(student, teacher).item() == pytest.approx(0.75 * log(1.5) + 0.25 * log(0.5), abs=1e-6)
    # At temperature 2 a teacher of logits (ln 9, 0) has the same probabilities, and the loss is four times as large.
    warm = soft_loss(student, 2 * teacher, temperature=2)
    assert warm.item() == pytest.approx(4 * (0.75 * log(1.5) + 0.25 * log(0.5)), abs=1e-6)
    assert soft_loss(teacher, teacher).item() == pytest.approx(0, abs=1e-7)


def test_soft_loss_is_a_mean_over_the_batch() -> None:
    student, teacher = torch.zeros(1, 2), torch.tensor([[log(3.0), 0.0]])
    both = soft_loss(student.repeat(2, 1), torch.cat([teacher, student]))
    assert both.item() == pytest.approx(soft_loss(student, teacher).item() / 2)


def test_hard_loss_by_hand() -> None:
    # The second head gives the teacher's choice, class 1, a probability of 1/4.
    loss = hard_loss(torch.tensor(0.5), torch.tensor([[log(3.0), 0.0]]), torch.tensor([[-1.0, 4.0]]))
    assert loss.item() == pytest.approx((0.5 + log(4)) / 2)


def test_the_second_task_reads_the_pooled_features() -> None:
    network = timm.create_model("lsnet_n", num_classes=2)
    student = WithSecondTask(network, 5).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        logits, second = student(x)
        pooled = network.forward_features(x).mean(dim=(2, 3))
        torch.testing.assert_close(logits, network(x))
        torch.testing.assert_close(second, student.second(pooled))


def test_a_table_is_found_by_path(pictures: Pictures, tmp_path: Path) -> None:
    table = {member: torch.tensor([float(i), -1.0, 0.5]) for i, member in enumerate(reversed(pictures.members))}
    save_table(tmp_path / "table.safetensors", {pictures.name: table}, "a_teacher")
    assert teacher_of(tmp_path / "table.safetensors") == "a_teacher"
    logits = load_table(tmp_path / "table.safetensors", [pictures])
    assert logits[:, 0].tolist() == list(range(len(pictures)))[::-1]
    del table[pictures.members[3]]
    save_table(tmp_path / "table.safetensors", {pictures.name: table}, "a_teacher")
    with pytest.raises(InputError, match=f"1 pictures of tints, such as {pictures.members[3]}"):
        load_table(tmp_path / "table.safetensors", [pictures])


def test_a_plain_array_is_in_order(pictures: Pictures, tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.arange(64.0).reshape(32, 2))
    assert load_table(tmp_path / "table.npy", [pictures])[1].tolist() == [2, 3]
    np.save(tmp_path / "table.npy", np.zeros((31, 2)))
    with pytest.raises(InputError, match="expected 32 rows"):
        load_table(tmp_path / "table.npy", [pictures])


class MeanColour(nn.Module):
    """Logits are the mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def test_a_teacher_normalizes_as_it_was_trained(pictures: Pictures) -> None:
    teacher = Teacher(MeanColour(), 16, (0.5, 0.0, 0.0), (0.5, 1.0, 1.0))
    logits = teacher_logits(teacher, pictures, views=2, batch_size=10)
    assert logits.shape == (32, 3)
    centre = np.array(pictures.pixels[0, :, 3:29]) / 255  # 50 × 40 pictures: the middle four fifths of the width
    assert logits[0, 2].item() == pytest.approx(centre[..., 2].mean(), abs=0.01)
    assert logits[0, 0].item() == pytest.approx((centre[..., 0].mean() - 0.5) / 0.5, abs=0.02)


def test_a_teacher_does_not_learn() -> None:
    teacher = Teacher(nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), MeanColour()), 8, (0,) * 3, (1,) * 3)
    teacher.train()
    logits = teacher(torch.rand(2, 3, 8, 8))
    assert not logits.requires_grad
    assert teacher.network[1].num_batches_tracked.item() == 0
