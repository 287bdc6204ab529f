"""Every number that a lesson or a worksheet states: equations are evaluated, answers and claims computed anew."""

import ast
import math
import operator
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest

import lsnet
from lsnet.complexity import ffn, ls_conv, self_attention
from lsnet.config import VARIANTS
from lsnet.tools.metrics import wilson
from viz.analysis.receptive_field import theoretical_field
from viz.examples import examples
from viz.lesson_file import Lesson
from viz.lessons import lessons
from viz.paper import lsnet_paper
from viz.texts import LANGUAGES

T = VARIANTS["t"]

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
RELATION = re.compile(r"(=|\\approx|<|>)")
LATEX = [
    (r"\\left|\\right|\\bigl|\\bigr|\\[,;]|\\quad|\\qquad|&", ""),
    (r"\\t?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)"),
    (r"\\lceil(.*?)\\rceil", r"ceil(\1)"),
    (r"\\log_2 \((.*?)\)", r"log2(\1)"),
    (r"\\log_2 (\d+)", r"log2(\1)"),
    (r"\^\{([^{}]*)\}", r"**(\1)"),
    (r"\^", "**"),
    (r"\\cdot", "*"),
]


def evaluated(latex: str) -> float | None:
    """The value of a term of numbers alone; None for anything else."""
    for pattern, plain in LATEX:
        latex = re.sub(pattern, plain, latex)
    try:
        return _value(ast.parse(latex.strip(), mode="eval").body)
    except (SyntaxError, KeyError, TypeError):
        return None


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp):
        return OPERATORS[type(node.op)](_value(node.operand))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return {"ceil": math.ceil, "log2": math.log2}[node.func.id](*map(_value, node.args))
    raise TypeError("no number")


def equations(lesson: Lesson) -> Iterator[tuple[float, str, float, str]]:
    """(left, relation, right, right as printed) of every relation between two numbers in a lesson's formulas."""
    texts = [
        text for step in lesson.steps for text in (step.text, step.try_this, step.question or "", step.answer or "")
    ]
    texts += [text for one in lesson.worksheet for text in (one.question, one.answer)]
    for formula in (found for text in texts for found in re.findall(r"\$+(.+?)\$+", text, flags=re.DOTALL)):
        for chain in re.split(r"\\qquad|,\s", formula):
            parts = RELATION.split(chain)
            for left, relation, right in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
                one, other = evaluated(left), evaluated(right)
                if one is not None and other is not None:
                    yield one, relation, other, right.strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_equation_holds(language: str) -> None:
    checked = 0
    for lesson in lessons(language):
        for one, relation, other, printed in equations(lesson):
            if relation == "=":
                assert one == pytest.approx(other, rel=1e-12), (lesson.slug, printed)
            elif relation == r"\approx":
                digits = len(printed.partition(".")[2])
                assert abs(one - other) <= 0.5000001 * 10**-digits, (lesson.slug, one, printed)
            else:
                assert (one < other) == (relation == "<"), (lesson.slug, printed)
            checked += 1
    assert checked >= 60


def test_a_wrong_equation_would_be_found() -> None:
    assert evaluated(r"\frac{7}{7 + 1.96^2}") == 7 / (7 + 1.96**2)
    assert evaluated(r"\lceil 224 / 64 \rceil") == 4
    assert evaluated(r"(-1) \cdot 3 + 2 \cdot 1^{2}") == -1
    assert evaluated("N") is evaluated("3C") is evaluated("C + 1") is None


def correlate(inputs: Sequence[float], kernel: Sequence[float]) -> list[float]:
    return np.correlate(np.array(inputs, float), np.array(kernel, float), "valid").tolist()


def receptive(layers: Sequence[tuple[int, int]], side: int = 1, distance: int = 1) -> tuple[list[int], list[int]]:
    """Sides of the field and distances of tokens after each layer of (kernel size, stride)."""
    sides, distances = [], []
    for kernel_size, stride in layers:
        side, distance = side + (kernel_size - 1) * distance, distance * stride
        sides.append(side)
        distances.append(distance)
    return sides, distances


def divergence(before: Sequence[float], after: Sequence[float]) -> float:
    return sum(p * math.log2(p / q) for p, q in zip(before, after, strict=True))


GRID = np.array([[1, 0, 2], [3, 1, 0], [0, 2, 1]])
LAPLACE = np.array([[0, 1, 0], [-1, 2, -1], [0, 1, 0]])
CORNER = np.pad(np.array([[4, 1], [2, 3]]), ((1, 0), (1, 0)))
SOFTMAX = np.exp([0, math.log(2), math.log(4)]) / np.exp([0, math.log(2), math.log(4)]).sum()
ROW, EDGES = [0, 0, 1, 1, 1, 0, 0], [-1, 2, -1]
WINDOWS = [ROW[i : i + 3] for i in range(5)]
BOX = np.convolve(np.ones(3), np.ones(3))
WEIGHTS, INPUTS = np.array([-1, 0, 4]), np.array([2, 2, 2])
BLOCK = ls_conv(128, (14, 14)).macs
LINEAR, PAIRS = (self_attention(384, (4, 4), 4, 16).macs - 256 * 448) / 16, 384 + 64
TABLE_7 = dict(zip(lsnet_paper().tables[7].models, lsnet_paper().tables[7].column("top1"), strict=True))
TOP_1 = {3: TABLE_7["K_L = 3"], 7: TABLE_7["LSNet-T (K_L = 7, K_S = 3)"], 9: TABLE_7["K_L = 9"]}

# What worksheets answer in bold, question by question.
ANSWERS: dict[str, list[list[float]]] = {
    "seeing-large-focusing-small": [
        [],
        [math.ceil(224 / stride) ** 2 for stride in (8, 16, 32, 64)],
        [7 * T.stride(2), 100 * 7**2 / math.prod(T.grid(2))],
        [128 // 8, 128 // 8 * 9, 128 // 8 * 9 * 14 * 14],
        [128 * 9],
        [],
    ],
    "one-pixel-one-kernel": [
        [float((GRID * LAPLACE).sum())],
        [float((GRID / 9).sum())],
        [float((CORNER * np.arange(1, 10).reshape(3, 3)).sum())],
        [50 % 12, len([c for c in range(96) if c % 12 == 50 % 12]), 50 // (96 // 12)],
        [int((np.pad(np.ones((99, 7)), ((0, 0), (3, 0)))[40:47, 0:7] == 0).sum())],
        [],
    ],
    "static-dynamic-global": [
        [*SOFTMAX, float(SOFTMAX @ [7, 14, 0])],
        [9 * 128, 9 * 16 * 14**2, 4 * (14**2) ** 2],
        correlate(ROW, EDGES),
        [window[1] if len(set(window)) == 1 else correlate(window, EDGES)[0] for window in WINDOWS],
        [100 * 2 * np.mean([3, 1]) ** 2 / (3**2 + 1**2)],
        [],
    ],
    "how-large-is-large": [
        receptive([(3, 1)] * 3)[0],
        [3 * 9, 7 * 7],
        [value for values in receptive([(3, 2)] * 3) for value in values],
        receptive([(3, 2), (3, 1), (7, 1)], 159, 16)[0],
        [*BOX, 100 * BOX[1:4].sum() / BOX.sum()],
        [100 * np.outer(BOX, BOX)[1:4, 1:4].sum() / np.outer(BOX, BOX).sum()],
    ],
    "does-it-matter": [
        [divergence([1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 4, 1 / 2])],
        [WEIGHTS.mean(), *(WEIGHTS * INPUTS), *(WEIGHTS.mean() * INPUTS)],
        [*(np.roll(WEIGHTS, 1) * INPUTS)],
        [100 * wilson(7, 7).low, 100 * wilson(36, 36).low],
        [TOP_1[7] - TOP_1[3], TOP_1[9] - TOP_1[7]],
        [],
    ],
    "what-it-costs": [
        [BLOCK],
        [
            100 * (ls_conv(128, (14, 14), kernel_large=9).macs / BLOCK - 1),
            100 * (ls_conv(128, (14, 14), kernel_small=5).macs / BLOCK - 1),
        ],
        [ls_conv(128, (28, 28)).macs / BLOCK, (28 * 28) ** 2 / (14 * 14) ** 2],
        [16 * LINEAR, 16**2 * PAIRS, 100 * 16**2 * PAIRS / (16 * LINEAR + 16**2 * PAIRS)],
        [next(n for n in range(1, 9999) if n**2 * PAIRS > n * LINEAR)],
        [],
    ],
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("slug", ANSWERS)
def test_every_numeric_answer_of_a_worksheet(slug: str, language: str) -> None:
    lesson = next(lesson for lesson in lessons(language) if lesson.slug == slug)
    for exercise, expected in zip(lesson.worksheet, ANSWERS[slug], strict=True):
        bold = re.findall(r"\*\*(.+?)\*\*", exercise.answer)
        assert len(bold) == len(expected), exercise.answer
        for text, value in zip(bold, expected, strict=True):
            digits = len(text.partition(".")[2])
            printed = float(Fraction(text.replace("−", "-")))
            tolerance = 1e-9 if "/" in text else 0.5000001 * 10**-digits
            assert abs(printed - value) <= tolerance, (exercise.question, text, value)
            if float(value).is_integer():
                assert printed == value


def test_all_lessons_have_their_answers_checked() -> None:
    assert list(ANSWERS) == [lesson.slug for lesson in lessons("en")]


def says(slug: str, step: str, *claims: str) -> None:
    """Both languages state these words at a step."""
    for language in LANGUAGES:
        lesson = next(lesson for lesson in lessons(language) if lesson.slug == slug)
        found = next(one for one in lesson.steps if one.name == step)
        text = " ".join((found.text, found.question or "", found.answer or ""))
        for claim in claims:
            assert claim in text, (language, step, claim)


def test_receptive_fields_of_lsnet_t() -> None:
    model = lsnet.load_predictor("untrained/lsnet_t", device="cpu").model

    def side(block: str, target: str = "kernel") -> int:
        return theoretical_field(model, block, (3, 3), (224, 224), target).side  # type: ignore[arg-type]

    assert receptive([(3, 2)] * 3 + [(3, 2), (3, 1), (7, 1)])[0][2:] == [15, 31, 63, 159]
    assert side("blocks2.2", "output") == 63
    assert side("blocks2.3") == 159
    assert side("blocks3.3") == 447
    says("how-large-is-large", "what-is-possible", "| 15 | 8 |", "| 31 | 16 |", "| 63 | 16 |", "| 159 | 16 |")
    says("how-large-is-large", "without-the-large-kernel", " 63 ")
    says("how-large-is-large", "from-everywhere", "447", "224")
    third = np.convolve(BOX, np.ones(3))
    assert third.tolist() == [1, 3, 6, 7, 6, 3, 1]


def test_costs_of_lsnet_t() -> None:
    assert (BLOCK / 14**2, ffn(128, (1, 1)).macs) == (25792, 65536)
    says("what-it-costs", "the-whole-network", "25792", "65536")
    assert (T.dims[1], T.dims[1] // T.channels_per_set) == (128, 16)
    assert (T.kernel_large, T.kernel_small) == (7, 3)
    assert (LINEAR, T.dims[3], T.num_heads[3] * T.key_dim) == (344640, 384, 64)
    quarter = 256**2 * PAIRS / (256 * LINEAR + 256**2 * PAIRS)
    assert quarter == pytest.approx(1 / 4, abs=0.01)
    says("what-it-costs", "the-last-stage", "344640 / 448", "C = 384", "D = 64")
    says("what-it-costs", "four-parts", "C = 128", "G = 16", "K_L = 7", "K_S = 3")


def test_what_is_quoted_from_the_paper() -> None:
    tables = lsnet_paper().tables
    names, flops, throughput = tables[1].models, tables[1].column("flops"), tables[1].column("throughput")
    printed = {name: (cost, speed) for name, cost, speed in zip(names, flops, throughput, strict=True)}
    assert (printed["MobileNetV3-L"], printed["LSNet-T"]) == ((0.2, 7921), (0.3, 14708))
    says("what-it-costs", "counts-are-not-times", "0.2 G", "7921", "0.3 G", "14708")
    assert (tables[7].epochs, TABLE_7["w/o LKP"], TABLE_7["w/o SKA"], TOP_1[7]) == (100, 70.5, 70.1, 71.6)
    without = dict(zip(tables[5].models, tables[5].column("top1"), strict=True))
    assert (tables[5].epochs, without["w/o LS conv"]) == (100, 69.3)
    assert TOP_1[9] <= TOP_1[7]
    assert TABLE_7["K_S = 5"] <= TOP_1[7]
    says("does-it-matter", "training-anew", "71.6%", "70.5%", "70.1%", "69.3%", "100")


def test_intervals_of_few_photos() -> None:
    assert len(examples()) == 10
    assert wilson(10, 10).low == pytest.approx(10 / (10 + 1.96**2), abs=1e-4)
    says("does-it-matter", "one-picture", r"\frac{10}{10 + 1.96^2} \approx 0.72", "73")
    assert wilson(72, 72).low < 0.95 <= wilson(73, 73).low
