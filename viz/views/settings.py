"""What a visitor can set in a view, declared: controls are built from it, and what comes back is checked by it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lsnet.errors import InputError
from viz.subject import Subject
from viz.texts import Texts

Value = str | float | bool | tuple[str, ...]
Values = Mapping[str, Value]

# (name in the visitor's language, value) of each option, for choices that depend on the network or the block.
Options = Callable[[Subject, Texts], Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Choice:
    """One of several, or some of several.

    Attributes:
        name: parameter name; its label is the text ``view.<view>.set.<name>``.
        options: fixed values, named by the texts ``view.<view>.set.<name>.<value>``, or a function that lists them.
        default: the value at first; None for the first option, or none where several may be chosen.
        several: whether more than one may be chosen; the value is then a tuple.
    """

    name: str
    options: tuple[str, ...] | Options
    default: str | tuple[str, ...] | None = None
    several: bool = False

    def choices(self, view: str, subject: Subject, say: Texts) -> list[tuple[str, str]]:
        """(name, value) of every option, for a menu."""
        if callable(self.options):
            return list(self.options(subject, say))
        return [(say(f"view.{view}.set.{self.name}.{value}"), value) for value in self.options]

    def check(self, value: object, allowed: Sequence[str]) -> Value:
        """The value as an analysis takes it; a value of another network's menu falls back to the default.

        Raises:
            InputError: it is none of the options.
        """
        if self.several:
            chosen = tuple(str(v) for v in value) if isinstance(value, list | tuple) else ()
            return tuple(v for v in chosen if v in allowed)
        if value is None or (callable(self.options) and value not in allowed):
            return str(self.default) if self.default in allowed else allowed[0]
        if value not in allowed:
            options = ", ".join(allowed)
            message = f"expected {self.name} to be one of {options}, got {value!r}"
            raise InputError("view.choice", message, setting=self.name, options=options)
        return str(value)

    def read(self, text: str) -> Value:
        """The value that stands in a link: an option, or several with commas between."""
        return tuple(filter(None, text.split(","))) if self.several else text


@dataclass(frozen=True)
class Number:
    """A number on a slider.

    Attributes:
        name: parameter name; its label is the text ``view.<view>.set.<name>``.
        low, high, step: the range; integers make whole numbers.
        default: the value at first.
    """

    name: str
    low: float
    high: float
    default: float
    step: float = 1

    def check(self, value: object) -> Value:
        """The value as an analysis takes it.

        Raises:
            InputError: it is not a number in the range, or not a whole one where whole ones are expected.
        """
        if value is None:
            return self.default
        whole = isinstance(self.low, int) and isinstance(self.step, int)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        if number is None or not self.low <= number <= self.high or (whole and number != int(number)):
            message = f"expected {self.name} to be a number from {self.low} to {self.high}, got {value!r}"
            raise InputError("view.number", message, setting=self.name, low=self.low, high=self.high)
        return int(number) if whole else float(number)

    def read(self, text: str) -> Value:
        """The value that stands in a link; what is no number becomes one that no range holds."""
        try:
            return float(text)
        except ValueError:
            return math.nan


@dataclass(frozen=True)
class Switch:
    """On or off.

    Attributes:
        name: parameter name; its label is the text ``view.<view>.set.<name>``.
        default: the value at first.
    """

    name: str
    default: bool = False

    def check(self, value: object) -> Value:
        """The value as an analysis takes it."""
        return self.default if value is None else bool(value)

    def read(self, text: str) -> Value:
        """The value that stands in a link: ``true`` or ``1``, else off."""
        return text.lower() in ("true", "1")


Setting = Choice | Number | Switch


def checked(
    settings: Sequence[Setting], given: Mapping[str, object], view: str, subject: Subject, say: Texts
) -> Values:
    """Values for all settings out of what a visitor gave; what is missing takes its default.

    Raises:
        InputError: a value is impossible; the sentence says what is possible.
    """
    values: dict[str, Value] = {}
    for setting in settings:
        value = given.get(setting.name)
        if isinstance(setting, Choice):
            allowed = [option for _, option in setting.choices(view, subject, say)]
            values[setting.name] = setting.check(value, allowed)
        else:
            values[setting.name] = setting.check(value)
    return values
