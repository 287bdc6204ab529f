"""Put the page together and serve it."""

import os
import sys

import gradio as gr

from lsnet import InputError
from viz import theme
from viz.examples import examples
from viz.images import MAX_BYTES
from viz.ui.api import add_api
from viz.ui.config import AppConfig
from viz.ui.page import Page
from viz.ui.service import Explorer

QUEUE_LENGTH = 64
PROBLEM = theme.LIGHT["warning"]

CSS = f"""
.gradio-container {{ max-width: 1320px !important; margin: 0 auto !important; }}
@media (max-width: 640px) {{
  .gradio-container .fillable {{ padding: 8px !important; }}
  #inputs {{ flex-direction: column; align-items: stretch; }}
  #examples .grid-container {{ grid: auto / auto-flow 72px !important; }}
  #examples .grid-wrap {{ overflow-x: auto !important; }}
  #views .told {{ max-width: calc(100vw - 72px); }}
}}
#title h1 {{ margin: 0; font-size: 1.05rem; font-weight: 600; opacity: 0.75; }}
#notice, #problem {{ padding: 0.45rem 0.8rem; border-radius: 8px; border-left: 4px solid; font-size: 0.9rem; }}
#notice {{ border-color: {theme.AGGREGATION}; background: color-mix(in srgb, {theme.AGGREGATION} 9%, transparent); }}
#problem {{ border-color: {PROBLEM}; background: color-mix(in srgb, {PROBLEM} 12%, transparent); }}
#inputs {{ align-items: center; }}
#upload {{ align-self: center; }}
#examples {{ overflow: hidden; }}
#examples .caption-label {{ display: none; }}
#examples .grid-wrap {{ padding: 0; overflow: hidden; }}
#examples .grid-container {{ gap: 6px; grid-template-columns: repeat({len(examples())}, minmax(0, 1fr)) !important; }}
#examples .thumbnail-lg {{ height: 68px; aspect-ratio: auto; }}
#views-lead {{ margin-top: 1.5rem; }}
#status, .small, .explain {{ font-size: 0.88rem; opacity: 0.85; }}
#views .settings {{ align-items: end; gap: 0.6rem 1rem; }}
#views .settings > * {{ flex: 0 1 auto; }}
#views .busy {{ align-items: center; min-height: 0; gap: 0.8rem; }}
#views .homes > * {{ flex: 0 0 auto; min-width: 8rem; }}
#views .told {{ overflow-x: auto; }}
#views .told :is(td, th) {{ min-width: 4.5rem; }}
#views .told .katex-display {{ overflow-x: auto; overflow-y: hidden; }}
#views .remark {{ font-size: 0.9rem; }}
footer {{ opacity: 0.6; }}
"""


def page_theme() -> gr.themes.Base:
    """Gradio's components in the colours of the inspector and the figures."""
    light, dark = theme.LIGHT, theme.DARK
    pairs = {
        "body_background_fill": "paper",
        "background_fill_primary": "paper",
        "background_fill_secondary": "panel",
        "block_background_fill": "panel",
        "block_border_color": "line",
        "border_color_primary": "line",
        "body_text_color": "text",
        "body_text_color_subdued": "muted",
        "block_label_background_fill": "panel",
        "block_label_text_color": "muted",
        "block_title_text_color": "muted",
        "input_background_fill": "paper",
        "input_border_color": "line",
        "button_primary_background_fill": "accent",
        "button_primary_background_fill_hover": "accent",
        "button_primary_text_color": "paper",
        "button_secondary_background_fill": "paper",
        "button_secondary_border_color": "line",
        "button_secondary_text_color": "text",
        "link_text_color": "accent",
    }
    values = {name: light[token] for name, token in pairs.items()}
    values |= {f"{name}_dark": dark[token] for name, token in pairs.items()}
    base = gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        radius_size="md",
        font=theme.FONT_FAMILY.replace("'", "").split(", "),
        font_mono=["ui-monospace", "monospace"],
    )
    return base.set(**values, block_title_text_size="0.85rem", block_title_text_weight="500")


def build_app(explorer: Explorer) -> gr.Blocks:
    """The page and the endpoint, ready to be launched."""
    app = Page(explorer).build()
    with app:
        add_api(explorer)
    return app.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=4)


def launch(config: AppConfig, block: bool = True) -> gr.Blocks:
    """Serve the app; with ``block=False`` return while it serves.

    Raises:
        SystemExit: the configuration cannot be used; the sentence that says why goes to the terminal.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        explorer = Explorer(config)
        app = build_app(explorer)
    except InputError as error:
        sys.exit(f"error: {error}")
    app.launch(
        server_name=config.host,
        server_port=config.port,
        share=config.share,
        prevent_thread_lock=not block,
        max_file_size=MAX_BYTES,
        allowed_paths=[str(explorer.files)],
        ssr_mode=False,
        footer_links=["api"],
        theme=page_theme(),
        css=CSS,
        quiet=not block,
        # Gradio asks itself for the page once and gives up after three seconds, which a busy machine may need.
        _frontend=False,
    )
    return app
