"""What analyses return: frozen dataclasses of plain arrays, one file per analysis; no torch, no plotly."""

from viz.results.place import Array, Place, Result

__all__ = ["Array", "Place", "Result"]
