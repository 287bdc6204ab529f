"""Put the page together and serve it."""

import os
import sys

import gradio as gr

from lsnet import InputError
from viz import theme
from viz.images import MAX_BYTES
from viz.ui.api import add_api
from viz.ui.config import AppConfig
from viz.ui.page import Page
from viz.ui.service import Explorer

QUEUE_LENGTH = 64

CSS = f"""
.gradio-container {{ max-width: 1480px !important; margin: 0 auto !important; }}
#title h1 {{ margin: 0; font-size: 1.7rem; letter-spacing: -0.01em; }}
#tagline {{ opacity: 0.8; }}
#lead p {{ font-size: 1.05rem; font-weight: 600; }}
#notice, #problem {{ padding: 0.6rem 0.9rem; border-radius: 8px; border-left: 4px solid; }}
#notice {{ border-color: {theme.AGGREGATION}; background: color-mix(in srgb, {theme.AGGREGATION} 9%, transparent); }}
#problem {{ border-color: #d98200; background: color-mix(in srgb, #d98200 12%, transparent); }}
#place, #status, .small, .explain {{ font-size: 0.88rem; opacity: 0.85; }}
#explore img {{ cursor: crosshair; }}
footer {{ opacity: 0.6; }}
"""


def build_app(config: AppConfig) -> gr.Blocks:
    """The page and the endpoint, ready to be launched.

    Raises:
        InputError: the device, the model or the weights in the configuration cannot be used.
    """
    explorer = Explorer(config)
    page = Page(explorer)
    app = page.build()
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
        app = build_app(config)
    except InputError as error:
        sys.exit(f"error: {error}")
    app.launch(
        server_name=config.host,
        server_port=config.port,
        share=config.share,
        prevent_thread_lock=not block,
        max_file_size=MAX_BYTES,
        ssr_mode=False,
        footer_links=["api"],
        theme=gr.themes.Soft(
            primary_hue="teal", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css=CSS,
        quiet=not block,
    )
    return app
