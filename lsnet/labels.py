"""What the logits of a classifier stand for."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from timm.data import ImageNetInfo

CHINESE_IMAGENET_NAMES = Path(__file__).resolve().parent.parent / "assets" / "i18n" / "imagenet-1k.zh-CN.json"


@dataclass(frozen=True)
class Label:
    """One class.

    Attributes:
        id: the WordNet id, or the data set's own name for the class.
        en: its name in English.
        zh: its name in Simplified Chinese; the English name where none is known.
    """

    id: str
    en: str
    zh: str


@cache
def imagenet_labels() -> tuple[Label, ...]:
    """The 1000 classes of ImageNet-1k in the usual order, in English as timm names them."""
    info = ImageNetInfo("imagenet-1k")
    chinese = json.loads(CHINESE_IMAGENET_NAMES.read_text(encoding="utf-8"))
    wnids = [info.index_to_label_name(index) for index in range(1000)]
    return tuple(Label(wnid, info.index_to_description(index), chinese[wnid]) for index, wnid in enumerate(wnids))


def numbered_labels(count: int) -> tuple[Label, ...]:
    """Stand-ins for classes whose names are not known."""
    return tuple(Label(str(index), f"class {index}", f"类别 {index}") for index in range(count))
