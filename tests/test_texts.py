"""Both languages say the same things, and nothing that a visitor reads bypasses them."""

import ast
import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from viz import texts
from viz.texts import LANGUAGES, entries, texts_in
from viz.ui.config import AppConfig

ROOT = Path(__file__).resolve().parent.parent


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    en, zh = (entries(language) for language in LANGUAGES)
    assert set(en) == set(zh)
    assert [key for key in en if placeholders(en[key]) != placeholders(zh[key])] == []


def test_no_text_is_empty_and_chinese_is_chinese() -> None:
    zh = entries("zh-CN")
    assert all(text.strip() for language in LANGUAGES for text in entries(language).values())
    same_in_both = {key for key in zh if zh[key] == entries("en")[key]}
    latin = {key for key in zh if not re.search(r"[\u4e00-\u9fff]", zh[key])}
    assert latin == same_in_both  # names and symbols alone may stay as they are


@pytest.mark.parametrize(
    ("tag", "language"),
    [("zh", "zh-CN"), ("zh-TW,zh;q=0.9", "zh-CN"), ("ZH-cn", "zh-CN"), ("fr", "en"), ("", "en"), (None, "en")],
)
def test_the_language_that_fits_a_tag(tag: str | None, language: str) -> None:
    assert texts_in(tag).language == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_emphasis_in_a_text_is_closed(language: str) -> None:
    """After full-width punctuation, asterisks before a letter close nothing, and stay on the page as they are."""
    for key, text in entries(language).items():
        plain = re.sub(r"\$[^$]*\$|`[^`]*`", "", text)  # formulas and names may have asterisks of their own
        plain = re.sub(r"\{[^{}]*\}", "字", plain)
        assert "**" not in MarkdownIt().render(plain), key


def raised_codes() -> Iterator[tuple[str, set[str]]]:
    """Code and names of details of every InputError in the sources."""
    for path in [*(ROOT / "lsnet").rglob("*.py"), *(ROOT / "viz").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InputError":
                code = node.args[0]
                assert isinstance(code, ast.Constant), f"a code that is not written out in {path.name}"
                yield str(code.value), {keyword.arg or "**" for keyword in node.keywords}


def test_every_error_has_a_sentence_in_both_languages_that_uses_only_its_details() -> None:
    codes = list(raised_codes())
    assert len(codes) > 20
    tools_only = ("data.", "train.", "teacher.", "validate.", "sets.", "recipe.", "distill.", "zoo.")
    for code, details in codes:
        if code.startswith(tools_only):
            continue  # told in a terminal, not on the page
        for language in LANGUAGES:
            assert placeholders(entries(language)[f"error.{code}"]) <= details, code


class Marked(Mapping[str, str]):
    """Every text is its key between brackets, so that text from anywhere else stands out."""

    def __init__(self, original: Mapping[str, str]) -> None:
        self.original = original

    def __getitem__(self, key: str) -> str:
        return "⟦" + key + "⟧" + "".join("{" + name + "}" for name in placeholders(self.original[key]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.original)

    def __len__(self) -> int:
        return len(self.original)


VISIBLE = ("label", "value", "info", "placeholder", "choices", "title", "alt_text", "caption")
NOT_WORDS = re.compile(r"^(?:[\W\d_]*|https?://.*|/.*|.*\.(?:jpg|npz|webp|png)|English|简体中文)$", re.DOTALL)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value[:1] if _is_choice(value) else value:
            yield from strings(item)


def _is_choice(value: Any) -> bool:
    """A (name, value) pair of a dropdown: only the name is shown."""
    return isinstance(value, tuple) and len(value) == 2


def test_nothing_visible_bypasses_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    from viz.ui.launch import build_app
    from viz.ui.service import Explorer

    real = entries
    monkeypatch.setattr(texts, "entries", lambda language: Marked(real(language)))
    app = build_app(Explorer(AppConfig(device="cpu", model="untrained/lsnet_n", threads=1)))
    shown = [
        (type(block).__name__, text)
        for block in app.blocks.values()
        if getattr(block, "visible", True)
        for name in VISIBLE
        if not (name == "value" and hasattr(block, "choices"))  # a choice's value is for the program
        for text in strings(getattr(block, name, None))
    ]
    assert len([text for _, text in shown if "⟦" in text]) > 20
    assert [item for item in shown if "⟦" not in item[1] and not NOT_WORDS.match(item[1])] == []
