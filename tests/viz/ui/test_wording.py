"""What visitors are told when something went wrong."""

from markdown_it import MarkdownIt

from lsnet import InputError
from viz.texts import texts_in
from viz.ui import wording

HOSTILE = "[Sign in](https://evil.example) ![](https://evil.example/x.png) <b>*now*</b>"


def test_a_detail_is_shown_to_the_letter_and_makes_no_link_of_its_own() -> None:
    error = InputError("input.model", "no such network", name=HOSTILE)
    html = MarkdownIt().render(wording.problem(error, texts_in("en")))
    assert not any(tag in html for tag in ("<a", "<img", "<b>", "<em>"))
    assert "[Sign in](https://evil.example)" in html
    assert HOSTILE in wording.problem(error, texts_in("en"), markdown=False)


def test_what_nobody_can_mend_is_told_without_its_innards() -> None:
    sentence = wording.problem(RuntimeError("CUDA error at /home/anna"), texts_in("en"))
    assert "anna" not in sentence
