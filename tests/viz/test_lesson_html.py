"""Lessons as HTML: formulas as MathML, tags as text, nothing left of the Markdown."""

import re
import xml.etree.ElementTree as ET

import pytest

from viz.lesson_html import formula, render
from viz.lessons import lessons
from viz.quantities import quantities_in
from viz.texts import LANGUAGES

MATHML = "{http://www.w3.org/1998/Math/MathML}"


def parsed(latex: str, display: bool = False) -> ET.Element:
    return ET.fromstring(formula(latex, display))


def operators(tree: ET.Element) -> list[tuple[str, str | None]]:
    return [(mo.text or "", mo.get("form")) for mo in tree.iter(f"{MATHML}mo")]


def test_a_fraction_by_hand() -> None:
    tree = parsed(r"\frac{1}{x}")
    fraction = next(tree.iter(f"{MATHML}mfrac"))
    assert ["".join(part.itertext()) for part in fraction] == ["1", "x"]
    assert [part[0].tag for part in fraction] == [f"{MATHML}mn", f"{MATHML}mi"]


def test_names_of_several_letters_are_one_identifier() -> None:
    names = [mi.text for mi in parsed(r"\mathrm{LS}(x) = \mathop{\mathrm{softmax}}_{j} ab").iter(f"{MATHML}mi")]
    assert names == ["LS", "x", "softmax", "j", "a", "b"]


def test_a_sign_is_told_from_a_subtraction() -> None:
    assert operators(parsed("(-1) - 2 = -3"))[1] == ("−", "prefix")
    assert [form for sign, form in operators(parsed("(-1) - 2 = -3")) if sign == "−"] == ["prefix", None, "prefix"]


def test_brackets_grow_with_their_matrix() -> None:
    tree = parsed(r"X = \begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix} \qquad Y = 0", display=True)
    assert [found for found in operators(tree) if found[0] in "[]"] == [("[", "prefix"), ("]", "postfix")]
    rows = [["".join(cell.itertext()) for cell in row] for row in tree.iter(f"{MATHML}mtr")]
    assert rows == [["1", "2"], ["3", "4"]]


def test_aligned_lines_meet_at_their_mark() -> None:
    tree = parsed(r"\begin{aligned} y &= 1 + 2 \\ &= 3 \end{aligned}", display=True)
    cells = [[(cell.get("style") or "").split(";")[0] for cell in row] for row in tree.iter(f"{MATHML}mtr")]
    assert cells == [["text-align: right", "text-align: left"]] * 2
    assert "&" not in "".join(tree.itertext())


def test_a_slash_keeps_closer_than_a_dot() -> None:
    spaces = {mo.text: (mo.get("lspace"), mo.get("rspace")) for mo in parsed(r"1/7 \cdot 7").iter(f"{MATHML}mo")}
    assert spaces == {"/": ("0", "0"), "·": (None, None)}  # 1/7 · 7, and not 1 / 7·7


@pytest.mark.parametrize(
    ("latex", "row"),
    [
        (r"2 \ln 4", ["mn", "mi", "mspace", "mn"]),
        (r"\log_2 x", ["msub", "mspace", "mi"]),
        (r"\mathrm{PW}(x)", ["mi", "mo", "mi", "mo"]),
        ("C D", ["mi", "mi"]),
    ],
)
def test_a_function_keeps_its_distance_from_what_has_no_bracket(latex: str, row: list[str]) -> None:
    assert [element.tag.removeprefix(MATHML) for element in parsed(latex)[0]] == row


def test_bars_are_a_pair_of_one_height_and_capital_greek_stands_upright() -> None:
    bars = [mo for mo in parsed(r"\lVert \bar w_g \rVert^2").iter(f"{MATHML}mo") if mo.text == "‖"]
    assert [(bar.get("form"), bar.get("stretchy")) for bar in bars] == [("prefix", "false"), ("postfix", "false")]
    letters = {mi.text: mi.get("mathvariant") for mi in parsed(r"\Omega \alpha N").iter(f"{MATHML}mi")}
    assert letters == {"Ω": "normal", "α": None, "N": None}


@pytest.mark.parametrize(("text", "kept"), [("和为 $1/9$。另外", "。"), ("is $x$, or", ","), ("$x$ is", "")])
def test_a_line_does_not_begin_with_what_closes_a_sentence(text: str, kept: str) -> None:
    found = re.search(r'<span style="white-space: nowrap">.*</math></span>(.*?)</span>', render(text))
    assert (found[1] if found else "") == kept


def test_sizes_are_not_torn_apart() -> None:
    assert "3\u00a0×\u00a03 kernel" in render("A 3 × 3 kernel")
    assert "7\u00a0×\u00a07" in render("of 7\n× 7 tokens")
    assert "C × 3" in render("C × 3")
    assert "<code>7 × 7</code>" in render("`7 × 7`")


def test_tags_in_a_text_are_text() -> None:
    html = render('<script>alert(1)</script> and <img src=x onerror="alert(1)"> in [a link](javascript:alert(1))')
    assert not re.search(r"<(?!/?p>)", html)


def test_tables_and_formulas_in_them() -> None:
    html = render("| Layer | $r$ |\n|---|---|\n| first | $1 + 2$ |")
    assert html.count("<table>") == 1
    assert html.count("<math") == 2


def texts(language: str) -> list[str]:
    steps = [step for lesson in lessons(language) for step in lesson.steps]
    exercises = [one for lesson in lessons(language) for one in lesson.worksheet]
    parts = [part for s in steps for part in (s.text, s.try_this, s.question, s.answer)]
    return [text for text in (*parts, *(t for e in exercises for t in (e.question, e.answer))) if text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_lesson_is_rendered_without_rest(language: str) -> None:
    formulas = 0
    for text in texts(language):
        for name in quantities_in(text):
            text = text.replace("{{" + name + "}}", "7")
        html = render(text)
        formulas += html.count("<math")
        seen = re.sub(r"<[^>]*>", "", html)
        assert not re.search(r"\$|\\|\*\*|\{\{|&amp;amp;", seen), text
        assert "<script" not in html
        ET.fromstring(f"<div>{html}</div>")  # closed and nested as it should be
        assert text.count("$$") // 2 == html.count('display="block"')
    assert formulas > 150
