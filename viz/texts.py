"""Every text that a visitor reads, by key and language, out of ``assets/i18n``."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

I18N_DIR = Path(__file__).resolve().parent.parent / "assets" / "i18n"

LANGUAGES = ("en", "zh-CN")


class Texts:
    """The texts of one language: ``texts("status.time", ms=12)``.

    Attributes:
        language: ``"en"`` or ``"zh-CN"``.
    """

    def __init__(self, language: str, entries: Mapping[str, str]) -> None:
        self.language = language
        self._entries = entries

    def __call__(self, key: str, **values: str | int | float) -> str:
        """The text under a key, its ``{placeholders}`` filled in.

        Raises:
            KeyError: there is no such text, or a placeholder has no value.
        """
        return self._entries[key].format_map(values)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def of(self, names: Mapping[str, str]) -> str:
        """The entry in this language of names that data brings along (``"en"`` and ``"zh"`` or ``"zh-CN"``)."""
        if self.language == "zh-CN":
            return names.get("zh-CN") or names.get("zh") or names["en"]
        return names["en"]


def texts_in(language: str | None) -> Texts:
    """Texts in the language that fits a tag such as ``"zh"``, ``"zh-TW"`` or ``"fr"`` best; English where none does."""
    chosen = "zh-CN" if (language or "").lower().startswith("zh") else "en"
    return Texts(chosen, entries(chosen))


@cache
def entries(language: str) -> Mapping[str, str]:
    """All texts of one of :data:`LANGUAGES`, by key: the page's own, and those that its parts and views bring along.

    A part's file, ``<part>.json`` or ``views/<view>.json``, holds both languages.

    Raises:
        ValueError: two files have a text of the same key.
    """
    texts: dict[str, str] = json.loads((I18N_DIR / f"{language}.json").read_text(encoding="utf-8"))
    shared = (path for path in I18N_DIR.glob("*.json") if path.stem not in LANGUAGES and "." not in path.stem)
    for path in sorted([*shared, *(I18N_DIR / "views").glob("*.json")]):
        more = json.loads(path.read_text(encoding="utf-8"))[language]
        if twice := texts.keys() & more.keys():
            raise ValueError(f"expected each text once, got {min(twice)!r} again in {path.name}")
        texts |= more
    return MappingProxyType(texts)
