"""The accordion in which a visitor builds a variant of LSNet: another token mixer, other kernels, parts left out."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from lsnet.config import VARIANTS, LSNetConfig
from lsnet.untrained import CHANGES, OPTIONS, Value, Variant, fitting_sets
from viz.texts import Texts
from viz.ui.localize import Localizer

BASES = ("n", "t", "s", "b")
PARTS = ("ska", "dw", "se")
SIZES = ("kernel_large", "kernel_small", "channels_per_set")


class VariantBuilder:
    """The controls of a variant, and the source that they name.

    Attributes:
        controls: in the order in which :meth:`source` takes their values.
        button: opens the variant.
    """

    def __init__(self, localize: Localizer, say: Texts) -> None:
        """Build the accordion, inside a ``gr.Blocks``."""
        with localize(gr.Accordion(say("variant.title"), open=False, elem_id="variant"), label="variant.title"):
            localize(gr.Markdown(say("variant.lead"), elem_classes="small"), value="variant.lead")
            with gr.Row():
                base = localize(
                    gr.Dropdown(
                        _bases(say),
                        value=f"lsnet_{BASES[0]}",
                        label=say("variant.base"),
                        min_width=200,
                        elem_id="variant-base",
                    ),
                    label="variant.base",
                    choices=_bases,
                )
                mixer = localize(
                    gr.Dropdown(
                        _mixers(say),
                        value="ls",
                        label=say("variant.mixer"),
                        info=say("variant.mixer.info"),
                        scale=2,
                        min_width=240,
                        elem_id="variant-mixer",
                    ),
                    label="variant.mixer",
                    info="variant.mixer.info",
                    choices=_mixers,
                )
            with gr.Row():
                sizes = [self._size(option, localize, say) for option in SIZES]
            with gr.Row(equal_height=True):
                parts = [self._part(part, localize, say) for part in PARTS]
                self.button = localize(
                    gr.Button(say("variant.open"), variant="primary", min_width=160, elem_id="variant-open"),
                    value="variant.open",
                )
        self.controls: list[Component] = [base, mixer, *sizes, *parts]
        for chooser in (base, mixer):
            chooser.input(
                self._fit,
                [base, mixer, *sizes],
                [*sizes, *parts],
                api_visibility="private",
                show_progress="hidden",
                queue=False,
            )

    @staticmethod
    def _size(option: str, localize: Localizer, say: Texts) -> gr.Radio:
        def named(say: Texts) -> list[tuple[str, int]]:
            return [(_size_name(option, int(value), say), int(value)) for value in _sizes(option, VARIANTS[BASES[0]])]

        radio = gr.Radio(
            named(say),
            value=getattr(LSNetConfig, option),
            label=say(f"variant.{option}"),
            min_width=220,
            elem_id=f"variant-{option}",
        )
        if option == "channels_per_set":  # numbers, of which only those stay that fit the base
            return localize(radio, label=f"variant.{option}")
        return localize(radio, label=f"variant.{option}", choices=named)

    @staticmethod
    def _part(part: str, localize: Localizer, say: Texts) -> gr.Checkbox:
        box = gr.Checkbox(True, label=say(f"variant.{part}"), min_width=180, elem_id=f"variant-{part}")
        return localize(box, label=f"variant.{part}")

    def _fit(self, base: str, mixer: str, *values: int) -> list[Any]:
        """What the mixer does not have cannot be set, and sets that the base's channels do not fit are gone."""
        updates = []
        for option, value in zip(SIZES, values, strict=True):
            update: dict[str, Any] = {"interactive": _changes(option, mixer)}
            if option == "channels_per_set":
                fitting = _sizes(option, VARIANTS[base.removeprefix("lsnet_")])
                own = value if value in fitting else LSNetConfig.channels_per_set
                update |= {"choices": [(str(size), size) for size in fitting], "value": own}
            updates.append(gr.update(**update))
        return updates + [gr.update(interactive=_changes(part, mixer)) for part in PARTS]

    def source(self, base: str, mixer: str, *values: Value) -> str:
        """The source of the variant that the controls describe; what its mixer does not have is left out.

        Raises:
            InputError: there is no such variant.
        """
        chosen = zip((*SIZES, *PARTS), values, strict=True)
        used = {option: value for option, value in chosen if _changes(option, mixer)}
        return f"untrained/{Variant(base, {'mixer': mixer, **used}).name}"


def variant_name(source: str, say: Texts) -> str:
    """A network with random weights as visitors read it: ``"LSNet-T · involution · without SE"``."""
    variant = Variant.read(source.removeprefix("untrained/"))
    name = variant.architecture
    if not name.startswith("lsnet_"):
        return say(f"variant.{name}")
    size = name.removeprefix("lsnet_").replace("_distill", "*")
    parts = [f"LSNet-{size.upper()}"]
    for option, value in variant.options.items():
        if option == "mixer":
            parts.append(say(f"inspector.mixer.{value}"))
        else:
            parts.append(say(f"variant.chosen.{option}", value=value))
    return " · ".join(parts)


def _mixers(say: Texts) -> list[tuple[str, str]]:
    return [(say(f"variant.mixer.{mixer}"), str(mixer)) for mixer in OPTIONS["mixer"]]


def _bases(say: Texts) -> list[tuple[str, str]]:
    return [(say(f"variant.base.{base}"), f"lsnet_{base}") for base in BASES]


def _changes(option: str, mixer: str) -> bool:
    return mixer in CHANGES.get(option, OPTIONS["mixer"])


def _sizes(option: str, base: LSNetConfig) -> Sequence[Value]:
    return fitting_sets(base) if option == "channels_per_set" else OPTIONS[option]


def _size_name(option: str, value: int, say: Texts) -> str:
    return say("variant.no_large") if (option, value) == ("kernel_large", 1) else str(value)
