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


def swipe(page: Any, x: int, y: int, by: int) -> None:
    """Move a finger up or down a phone's screen by some CSS pixels."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: dict[str, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    for step in range(1, 11):
        touch("touchMove", {"x": x, "y": y + by * step / 10})
        page.wait_for_timeout(20)
    touch("touchEnd")


def brackets_grow(page: Any) -> None:
    """Brackets around a matrix of three rows are as high as it, which takes the font of formulas."""
    page.wait_for_function(
        """() => {
          const [matrix] = [...document.querySelectorAll("mtable")].filter((table) => table.getClientRects().length);
          const bracket = matrix?.previousElementSibling;
          if (bracket?.textContent !== "[" || matrix.querySelectorAll("mtr").length !== 3) return false;
          return bracket.getBoundingClientRect().height >= 0.9 * matrix.getBoundingClientRect().height;
        }"""
    )
