"""Put the page together and serve it."""

import os
import signal
import sys

import gradio as gr
from starlette.middleware import Middleware

from lsnet import InputError
from viz import theme
from viz.examples import EXAMPLES_DIR, examples
from viz.images import MAX_BYTES
from viz.math_font import FONT, math_font
from viz.ui.api import add_api
from viz.ui.config import AppConfig
from viz.ui.frontend import KeptFrontend
from viz.ui.lesson_drawer import DRAWER
from viz.ui.page import Page
from viz.ui.service import Explorer

SESSIONS_KEPT = 240  # Gradio holds over a megabyte for each, also of visitors who have gone
QUEUE_LENGTH = 256  # a class of sixty with a few events each; who comes then is told that it is full
PROBLEM = theme.LIGHT["warning"]

CSS = f"""
:root {{ --see: {theme.PERCEPTION}; --focus: {theme.AGGREGATION}; }}
.gradio-container {{ max-width: 1320px !important; margin: 0 auto !important; }}
#title h1 {{ margin: 0; font-size: 1.05rem; font-weight: 600; opacity: 0.75; }}
#notice, #problem {{ padding: 0.45rem 0.8rem; border-radius: 8px; border-left: 4px solid; font-size: 0.9rem; }}
#notice {{ border-color: {theme.AGGREGATION}; background: color-mix(in srgb, {theme.AGGREGATION} 9%, transparent); }}
#problem {{ border-color: {PROBLEM}; background: color-mix(in srgb, {PROBLEM} 12%, transparent); }}
#inputs {{ align-items: center; }}
#upload {{ align-self: center; padding-inline: 1rem; white-space: nowrap; }}
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
#views .told {{ overflow-x: auto; contain: inline-size; }}
#views .told :is(td, th) {{ border-color: var(--border-color-primary); }}
#views .told :is(td, th) {{ min-width: 4.5rem; overflow-wrap: normal; word-break: normal; }}
#fit-figures {{ display: none; }}
#views .told .katex-display {{ overflow-x: auto; overflow-y: hidden; }}
#views .remark {{ font-size: 0.9rem; }}
/* While a picture is on its way, the one that is shown can be explored; the inspector says in words how long it is. */
#inspector .pending {{ opacity: 1 !important; }}
#inspector [data-testid="status-tracker"] {{ visibility: hidden !important; }}
#views [role="tab"][aria-selected="true"] {{ color: var(--link-text-color) !important; }}
.gradio-container input[role="combobox"] {{ padding-right: 1.9rem; text-overflow: ellipsis; }} /* its arrow */
.gradio-container .label-wrap > span:first-child {{ text-align: start; }}
footer .divider:last-child {{ display: none; }}
@media (max-width: 640px) {{
  #inputs {{ flex-direction: column; align-items: stretch; }}
  #examples, #examples .gallery-container, #examples :is(.grid-wrap, .grid-container) {{ height: auto !important; }}
  #examples .grid-container {{ grid: auto-flow 68px / repeat(5, minmax(0, 1fr)) !important; }}
  #views .told :is(td, th) {{ padding: 0.3rem 0.5rem; }}
  :is(#views .settings, #variant) .form {{ flex-direction: column; }}
}}
"""
# Apart, since Gradio confines what is under @media to the page's contents.
FRAME = """
@media (max-width: 640px) { .gradio-container .main.fillable { padding: 8px; } }
@media (hover: none) { #views .modebar-container { display: none; } } /* see assets/figures/finger.js */
"""
HEAD = f"<style>{math_font('gradio_api/file=')}\n{FRAME}\n{(DRAWER / 'page.css').read_text(encoding='utf-8')}</style>"


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
        "input_border_color_focus": "accent",
        "button_primary_border_color": "accent",
        "button_primary_border_color_hover": "accent",
        "button_primary_background_fill": "accent",
        "button_primary_background_fill_hover": "accent",
        "button_primary_text_color": "paper",
        "button_secondary_background_fill": "paper",
        "button_secondary_border_color": "line",
        "button_secondary_border_color_hover": "accent",
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
    return base.set(**values, block_title_text_size="0.85rem", block_title_text_weight="500", input_border_width="1px")


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
        # A folder of its own, to be swept and deleted with it.
        os.environ["GRADIO_TEMP_DIR"] = str(explorer.folders.uploads)
        # Served from where they lie: Gradio would copy them for every visitor, and keep the copies when they are gone.
        gr.set_static_paths([explorer.folders.served, EXAMPLES_DIR, FONT])
        app = build_app(explorer)
    except InputError as error:
        sys.exit(f"error: {error}")
    explorer.keep_sweeping()
    if block:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # an orderly end, which deletes what visitors brought
    app.space_id = None  # on a Space, Gradio would add a header with fonts and pictures from other hosts
    try:
        _serve(app, config, block)
    except OSError as error:
        where = f"{config.host}, port {config.port or 'from 7860 up'}"
        sys.exit(
            f"error: cannot serve on {where}: another program may be there; try another --port or --host ({error})"
        )
    return app


def _serve(app: gr.Blocks, config: AppConfig, block: bool) -> None:
    """Launch the page.

    Raises:
        OSError: the port is taken, or the host is none of this machine's.
    """
    app.launch(
        server_name=config.host,
        server_port=config.port,
        share=config.share,
        prevent_thread_lock=not block,
        max_file_size=MAX_BYTES,
        run_history=False,  # a visitor's picture stays out of their browser's storage too
        state_session_capacity=SESSIONS_KEPT,
        ssr_mode=False,
        app_kwargs={"middleware": [Middleware(KeptFrontend)]},
        footer_links=["api"],
        theme=page_theme(),
        css=CSS,
        head=HEAD,
        quiet=not block,
        # Gradio asks itself for the page once and gives up after three seconds, which a busy machine may need.
        _frontend=False,
    )
