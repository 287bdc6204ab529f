"""What the logits of a classifier stand for."""

from dataclasses import dataclass
from functools import cache

from timm.data import ImageNetInfo


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
    """The 1000 classes of ImageNet-1k in the usual order, as timm names them."""
    info = ImageNetInfo("imagenet-1k")
    names = [info.index_to_description(index) for index in range(1000)]
    return tuple(Label(info.index_to_label_name(index), name, name) for index, name in enumerate(names))


def numbered_labels(count: int) -> tuple[Label, ...]:
    """Stand-ins for classes whose names are not known."""
    return tuple(Label(str(index), f"class {index}", f"类别 {index}") for index in range(count))
