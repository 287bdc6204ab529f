"""Lessons as HTML: Markdown with formulas between dollar signs, set as MathML, which browsers draw by themselves."""

import re
import xml.etree.ElementTree as ET
from functools import cache
from typing import Any

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

_MATHML = "http://www.w3.org/1998/Math/MathML"
_ALIGNED = re.compile(r"\\(begin|end)\{aligned\}")
_MINUS = "\N{MINUS SIGN}"
_OMEGA = "\N{GREEK CAPITAL LETTER OMEGA}"
# A line does not begin with what closes a sentence; behind a formula, browsers would let it.
_PUNCTUATED = re.compile(r'<span class="math inline">(?:(?!</span>).)*</span>[,.;:?!)，。、；：？！）”]+')
# "3 × 3" is not torn apart; in code and formulas, things stay as they are.
_SIZE = re.compile(r"<(code|math)\b.*?</\1>|(?<=\d)\s×\s(?=\d)", re.DOTALL)
_UNTORN = "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}"
# A minus behind one of these belongs to the number that follows, and keeps no distance from it.
_BEFORE_A_SIGN = frozenset("([=·,×/")


def render(markdown: str) -> str:
    """HTML of a lesson's text: a text, a question, an answer.

    Tags in the text are shown as they are written; formulas become MathML. Nothing in the result needs a script, a
    font or another host.

    Args:
        markdown: CommonMark with tables, ``$inline$`` and ``$$display$$`` formulas in LaTeX. Quantities in double
            braces are to be filled in before (:func:`viz.quantities.filled`).
    """
    rendered = _SIZE.sub(lambda found: found[0] if found[1] else _UNTORN, _parser().render(markdown))
    rendered = rendered.replace("<th></th>", "<td></td>")  # the corner of a table heads nothing
    return _PUNCTUATED.sub(r'<span style="white-space: nowrap">\g<0></span>', rendered)


def formula(latex: str, display: bool = False) -> str:
    """One formula as a ``<math>`` element.

    Args:
        latex: without dollar signs.
        display: on lines of its own, rather than in a sentence.
    """
    latex = _ALIGNED.sub(r"\\\1{align*}", latex)  # the converter's name for the same
    tree = ET.fromstring(convert(latex, display="block" if display else "inline"))
    for element in tree.iter():
        element.tag = element.tag.removeprefix(f"{{{_MATHML}}}")
    _name_operators(tree)
    _set_letters(tree)
    _space_functions(tree)
    _bind_signs(tree)
    _bind_bars(tree)
    _bind_brackets(tree)
    _align_columns(tree)
    tree.set("xmlns", _MATHML)
    return ET.tostring(tree, encoding="unicode", short_empty_elements=False)


@cache
def _parser() -> MarkdownIt:
    """The parser; formulas that stand alone can be scrolled sideways where the page is narrow."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")

    def set_formula(latex: str, options: dict[str, Any]) -> str:
        return formula(latex, display=options["display_mode"])

    return parser.use(dollarmath_plugin, allow_labels=False, renderer=set_formula)


def _name_operators(tree: ET.Element) -> None:
    r"""Names such as ``\mathrm{softmax}`` become one identifier; the converter writes one for every letter."""
    for element in list(tree.iter()):
        upright = [child.get("mathvariant") == "normal" and child.tag == "mi" for child in element]
        if element.tag == "mrow" and len(element) > 1 and all(upright):
            _become_name(element)
    for element in list(tree.iter("mo")):
        if len(element):  # an operator may hold text alone
            _become_name(element)
    for element in tree.iter("mi"):
        if element.text in ("\N{LEFT CEILING}", "\N{RIGHT CEILING}"):
            element.tag = "mo"


def _become_name(element: ET.Element) -> None:
    name = "".join(element.itertext())
    tail = element.tail
    element.clear()
    element.tag, element.text, element.tail = "mi", name, tail


def _set_letters(tree: ET.Element) -> None:
    """As mathematicians write them: capital Greek letters upright, and a slash as close as a fraction's line."""
    for letter in tree.iter("mi"):
        if letter.text and len(letter.text) == 1 and "\N{GREEK CAPITAL LETTER ALPHA}" <= letter.text <= _OMEGA:
            letter.set("mathvariant", "normal")
    for slash in tree.iter("mo"):
        if slash.text == "/":
            slash.attrib.update(lspace="0", rspace="0")


def _space_functions(tree: ET.Element) -> None:
    """Keep what a function such as ``\\ln`` is applied to at a distance, where no bracket does."""
    for row in tree.iter():
        for place, (function, argument) in reversed(list(enumerate(zip(row, list(row)[1:], strict=False), 1))):
            name = function[0] if function.tag == "msub" else function
            if row.tag == "mrow" and name.tag == "mi" and len(name.text or "") > 1 and argument.tag != "mo":
                row.insert(place, ET.Element("mspace", width="0.17em"))


def _bind_bars(tree: ET.Element) -> None:
    """Double bars come in pairs, of which none grows; an operator cannot know which of them it is."""
    for number, bar in enumerate(bar for bar in tree.iter("mo") if bar.text == "\N{DOUBLE VERTICAL LINE}"):
        bar.attrib.update(stretchy="false", form="postfix" if number % 2 else "prefix")


def _bind_signs(tree: ET.Element) -> None:
    """Mark a minus as a sign where it stands for no subtraction."""
    for row in tree.iter():
        for before, minus in zip(row, list(row)[1:], strict=False):
            if minus.tag == "mo" and minus.text == _MINUS and before.tag == "mo" and before.text in _BEFORE_A_SIGN:
                minus.set("form", "prefix")


def _bind_brackets(tree: ET.Element) -> None:
    """Mark brackets around a matrix: an operator is taken for one, and grows, only at an end of its row or if told."""
    for row in tree.iter():
        for before, matrix, after in zip(row, list(row)[1:], list(row)[2:], strict=False):
            if matrix.tag == "mtable" and before.tag == after.tag == "mo":
                before.set("form", "prefix")
                after.set("form", "postfix")


def _align_columns(tree: ET.Element) -> None:
    """State the sides of columns as a style: browsers draw MathML Core, which has no attribute for them."""
    for cell in tree.iter("mtd"):
        if side := cell.attrib.pop("columnalign", None):
            cell.set("style", f"text-align: {side}; padding-inline: 0")
