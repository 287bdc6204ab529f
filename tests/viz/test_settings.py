"""What comes back from a view's controls is checked, and said clearly where it is impossible."""

from dataclasses import replace

import pytest

from lsnet import InputError
from viz.subject import Subject
from viz.texts import Texts, entries, texts_in
from viz.views import VIEWS, View
from viz.views.settings import Choice, Number, Switch, applying, check_conditions, checked

SAY = texts_in("en")
NOBODY: Subject = None  # type: ignore[assignment]  # these settings ask nothing of the subject
SETTINGS = (
    Choice("show", ("rows", "bias")),
    Choice("where", ("here", "there"), several=True),
    Number("count", 2, 16, 8),
    Number("share", 0.0, 1.0, 0.5, 0.1),
    Switch("photos"),
)


class Echo(Texts):
    """Every key stands for itself."""

    def __init__(self) -> None:
        super().__init__("en", {})

    def __call__(self, key: str, **values: str | int | float) -> str:
        return key


def values_of(**given: object) -> dict[str, object]:
    return dict(checked(SETTINGS, given, "any", NOBODY, Echo()))


def test_what_is_missing_takes_its_default() -> None:
    assert values_of() == {"show": "rows", "where": (), "count": 8, "share": 0.5, "photos": False}


def test_what_was_set_comes_through_in_the_type_that_analyses_expect() -> None:
    given = {"show": "bias", "where": ["there"], "count": 4.0, "share": 1, "photos": 1}
    values = values_of(**given)
    assert values == {"show": "bias", "where": ("there",), "count": 4, "share": 1.0, "photos": True}
    assert [type(value) for value in values.values()] == [str, tuple, int, float, bool]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"show": "colour"}, "view.choice"),
        ({"count": 1}, "view.number"),
        ({"count": 2.5}, "view.number"),
        ({"count": "8"}, "view.number"),
        ({"share": float("nan")}, "view.number"),
        ({"count": True}, "view.number"),
    ],
)
def test_the_impossible_is_refused_with_what_is_possible(given: dict[str, object], code: str) -> None:
    with pytest.raises(InputError) as caught:
        values_of(**given)
    assert caught.value.code == code
    assert set(caught.value.details) >= {"setting"}


def test_a_choice_of_another_networks_menu_falls_back() -> None:
    choice = Choice("target", lambda subject, say: [("Cat", "0"), ("Dog", "1")], default="1")
    assert checked((choice,), {"target": "977"}, "any", NOBODY, SAY) == {"target": "1"}
    assert checked((choice,), {"target": "0"}, "any", NOBODY, SAY) == {"target": "0"}


def test_what_stands_in_a_link_is_read_and_checked_like_any_other() -> None:
    words = {"show": "bias", "where": "here,there", "count": "12", "share": "0.3", "photos": "true"}
    given = {setting.name: setting.read(words[setting.name]) for setting in SETTINGS}
    assert values_of(**given) == {"show": "bias", "where": ("here", "there"), "count": 12, "share": 0.3, "photos": True}
    impossible = {"show": "nothing", "where": "here,nowhere", "count": "many", "share": "7"}
    assert {setting.read(impossible[setting.name]) for setting in SETTINGS if setting.name in impossible} == {None}
    assert [SETTINGS[0].read(text) for text in ("", ",", "rows,bias")] == [None] * 3  # one of several is one


DEPENDENT = (
    Choice("method", ("gradient", "occlusion", "cam")),
    Switch("smooth", when={"method": ("gradient", "cam")}),
    Number("samples", 2, 16, 8, when={"method": ("gradient",), "smooth": (True,)}),
    Choice("layer", ("last", "first"), when={"method": ("cam",)}),
    Number("window", 1, 9, 3, when=({"method": ("occlusion",)}, {"layer": ("first",)})),
)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"method": "gradient", "smooth": False, "layer": "first"}, {"method", "smooth"}),
        ({"method": "gradient", "smooth": True, "layer": "last"}, {"method", "smooth", "samples"}),
        ({"method": "cam", "smooth": True, "layer": "first"}, {"method", "smooth", "layer", "window"}),
        ({"method": "occlusion", "smooth": True, "layer": "first"}, {"method", "window"}),
    ],
)
def test_what_applies_follows_from_what_is_set(values: dict[str, object], names: set[str]) -> None:
    assert applying(DEPENDENT, values) == names


def test_what_does_not_apply_takes_its_default_whatever_was_given() -> None:
    given = {"method": "occlusion", "smooth": True, "samples": 999, "layer": "nowhere", "window": 5}
    values = dict(checked(DEPENDENT, given, "any", NOBODY, Echo()))
    assert values == {"method": "occlusion", "smooth": False, "samples": 8, "layer": "last", "window": 5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"shown": ("rows",)},  # there is no such setting
        {"count": ("2",)},  # only choices and switches are depended on
        {"show": ("colour",)},  # no such option
        {"show": ("rows", "bias")},  # always so
        {"show": ()},  # never so
        {"late": (True,)},  # declared too late
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_when_it_is_declared(
    wrong: dict[str, tuple[str | bool, ...]],
) -> None:
    settings = (*SETTINGS, Switch("dependent", when=wrong), Switch("late"))
    with pytest.raises(ValueError, match="to depend on some of"):
        check_conditions(settings)
    with pytest.raises(ValueError, match="to depend on some of"):
        replace(VIEWS[0], settings=settings)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_setting_and_option_has_its_words(view: View, language: str) -> None:
    words = entries(language)
    for setting in view.settings:
        key = f"view.{view.name}.set.{setting.name}"
        assert key in words
        if isinstance(setting, Choice) and not callable(setting.options):
            assert {f"{key}.{option}" for option in setting.options} <= set(words)
