"""A picture to take home: one HTML file with the inspector in it, which opens from disk without server or network."""

from viz.standalone.page import MAX_BYTES, Lead, Place, standalone_page
from viz.standalone.step import page_of_step, photo_of, step_page

__all__ = ["MAX_BYTES", "Lead", "Place", "page_of_step", "photo_of", "standalone_page", "step_page"]
