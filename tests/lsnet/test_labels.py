"""What logits stand for, in both languages."""

import re

from lsnet.labels import imagenet_labels, numbered_labels


def test_imagenet_in_the_usual_order() -> None:
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert [labels[i].id for i in (0, 281, 967, 999)] == ["n01440764", "n02123045", "n07920052", "n15075141"]
    assert labels[281].en.startswith("tabby")
    assert labels[281].zh == "虎斑猫"


def test_every_imagenet_class_has_a_chinese_name_of_its_own() -> None:
    names = [label.zh for label in imagenet_labels()]
    assert len(set(names)) == 1000
    assert all(re.search(r"[\u4e00-\u9fff]", name) for name in names)


def test_unnamed_classes_are_numbered() -> None:
    assert [(label.id, label.en, label.zh) for label in numbered_labels(2)] == [
        ("0", "class 0", "类别 0"),
        ("1", "class 1", "类别 1"),
    ]
