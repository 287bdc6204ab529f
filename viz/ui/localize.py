"""One language switch for all components: each says by key what its texts are."""

from typing import Any, TypeVar

import gradio as gr
from gradio.blocks import Block

from viz.texts import Texts

C = TypeVar("C", bound=Block)


class Localizer:
    """Remembers which attribute of which component shows which text."""

    def __init__(self) -> None:
        self._entries: list[tuple[Block, dict[str, Any]]] = []

    def __call__(self, component: C, **attributes: Any) -> C:
        """Register a component. An attribute is a text key, or a function of :class:`Texts` for composed values."""
        self._entries.append((component, attributes))
        return component

    @property
    def components(self) -> list[Block]:
        """The registered components, in the order of :meth:`updates`."""
        return [component for component, _ in self._entries]

    def updates(self, say: Texts) -> list[Any]:
        """One update per component, with its texts in the language of ``say``."""
        return [_filled(attributes, say) for _, attributes in self._entries]


def _filled(attributes: dict[str, Any], say: Texts) -> Any:
    values: dict[str, Any] = {name: text(say) if callable(text) else say(text) for name, text in attributes.items()}
    return gr.update(**values)
