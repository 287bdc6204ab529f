"""What a visitor can set in a view, declared: controls are built from it, and what comes back is checked by it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lsnet.errors import InputError
from viz.subject import Subject
from viz.texts import Texts

Value = str | float | bool | tuple[str, ...]
Values = Mapping[str, Value]

# When a setting means anything: by the names of settings that are declared before it, the values that they must have.
# Of several conditions, one is enough.
Condition = Mapping[str, tuple[str | bool, ...]]

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
        when: what other settings must be for this one to apply; always by default.
    """

    name: str
    options: tuple[str, ...] | Options
    default: str | tuple[str, ...] | None = None
    several: bool = False
    when: Condition | tuple[Condition, ...] = ()

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

    def read(self, text: str) -> Value | None:
        """The value that stands in a link: an option, or several with commas between; None where it is no option."""
        values = tuple(filter(None, text.split(",")))
        if not callable(self.options) and not set(values) <= set(self.options):
            return None
        if not self.several and len(values) != 1:
            return None
        return values if self.several else text


@dataclass(frozen=True)
class Number:
    """A number on a slider.

    Attributes:
        name: parameter name; its label is the text ``view.<view>.set.<name>``.
        low, high, step: the range; integers make whole numbers.
        default: the value at first.
        when: what other settings must be for this one to apply; always by default.
    """

    name: str
    low: float
    high: float
    default: float
    step: float = 1
    when: Condition | tuple[Condition, ...] = ()

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

    def read(self, text: str) -> Value | None:
        """The value that stands in a link; None where it is no number in the range."""
        try:
            return self.check(float(text))
        except ValueError:
            return None


@dataclass(frozen=True)
class Switch:
    """On or off.

    Attributes:
        name: parameter name; its label is the text ``view.<view>.set.<name>``.
        default: the value at first.
        when: what other settings must be for this one to apply; always by default.
    """

    name: str
    default: bool = False
    when: Condition | tuple[Condition, ...] = ()

    def check(self, value: object) -> Value:
        """The value as an analysis takes it."""
        return self.default if value is None else bool(value)

    def read(self, text: str) -> Value:
        """The value that stands in a link: ``true`` or ``1``, else off."""
        return text.lower() in ("true", "1")


Setting = Choice | Number | Switch


def alternatives(setting: Setting) -> tuple[Condition, ...]:
    """The conditions of a setting, of which one is enough; where it always applies, one that asks nothing."""
    return setting.when or ({},) if isinstance(setting.when, tuple) else (setting.when,)


def check_conditions(settings: Sequence[Setting]) -> None:
    """See that every condition can be met and can fail, by settings that are declared before it.

    Raises:
        ValueError: a condition names no earlier switch or single choice of fixed options, or not some of its values.
    """
    known: dict[str, tuple[str | bool, ...]] = {}
    for setting in settings:
        for name, wanted in (item for condition in alternatives(setting) for item in condition.items()):
            if not wanted or not set(wanted) < set(known.get(name, ())):
                message = f"expected {setting.name!r} to depend on some of {known}, got {name!r} in {wanted}"
                raise ValueError(message)
        if isinstance(setting, Switch):
            known[setting.name] = (False, True)
        elif isinstance(setting, Choice) and not callable(setting.options) and not setting.several:
            known[setting.name] = setting.options


def applying(settings: Sequence[Setting], values: Mapping[str, object]) -> frozenset[str]:
    """Names of the settings that apply; one that depends on a setting that does not apply does not apply either.

    Args:
        settings: in the order of their declaration.
        values: at least of all settings that others depend on.
    """
    names: set[str] = set()
    for setting in settings:
        for condition in alternatives(setting):
            if all(name in names and values[name] in wanted for name, wanted in condition.items()):
                names.add(setting.name)
    return frozenset(names)


def checked(
    settings: Sequence[Setting], given: Mapping[str, object], view: str, subject: Subject, say: Texts
) -> Values:
    """Values for all settings out of what a visitor gave; what is missing or does not apply takes its default.

    Raises:
        InputError: a value is impossible; the sentence says what is possible.
    """
    values: dict[str, Value] = {}
    for i, setting in enumerate(settings):
        value = given.get(setting.name) if setting.name in applying(settings[: i + 1], values) else None
        if isinstance(setting, Choice):
            allowed = [option for _, option in setting.choices(view, subject, say)]
            values[setting.name] = setting.check(value, allowed)
        else:
            values[setting.name] = setting.check(value)
    return values
