"""The same place of a picture in another block, or at another resolution."""

from viz.images import Geometry, TokenGrid


def same_place(
    token: tuple[int, int], block: TokenGrid, geometry: Geometry, other: TokenGrid, other_geometry: Geometry
) -> tuple[int, int]:
    """The token of another grid that owns the centre of a token's cell.

    A cell that the input's edge cuts counts as far as it reaches; a centre that the other input does not show goes to
    the nearest token.

    Args:
        token: (row, column) in the grid of ``block``.
        block, geometry: the grid, and the input that it lies on.
        other, other_geometry: the same of the other one; for a block of the same forward pass, the same geometry.

    Raises:
        ValueError: the block has no such token.
    """
    box = geometry.token_to_box(*token, block)
    x, y = other_geometry.picture_to_model((box.left + box.right) / 2, (box.top + box.bottom) / 2)
    row, column = (int(position // other.stride) for position in (y, x))
    height, width = other.grid
    return min(max(row, 0), height - 1), min(max(column, 0), width - 1)
