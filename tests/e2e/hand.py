"""What a hand does to the inspector, and what the page says of it."""

from typing import Any


def explorer(page: Any, expression: str) -> Any:
    return page.evaluate(f"window.lsnetExplorer.{expression}")


def settle(page: Any) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def hover(page: Any, x: int, y: int) -> None:
    """Move the mouse to a picture pixel, which is first brought into view."""
    page.locator('[data-part="picture-upper"]').scroll_into_view_if_needed()
    place = page.evaluate("([x, y]) => window.lsnetExplorer.clientOf({ x, y })", [x, y])
    page.mouse.move(place["x"], place["y"])
    settle(page)
