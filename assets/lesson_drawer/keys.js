import { isPresenting, switchPresenting } from "./stage.js";

// Arrow keys walk where the drawer has the focus; what a clicker sends walks anywhere while the page is projected. Then all
// of them turn pages first.

const CLICKER = { PageDown: 1, PageUp: -1 };
const ARROWS = { ArrowRight: 1, ArrowLeft: -1 };

export function walkByKeys(drawer, { walk, turn, close }) {
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || drawer.hidden) return;
    const within = drawer.contains(event.target);
    const by = (isPresenting() && CLICKER[event.key]) || (within && ARROWS[event.key]);
    if (by) {
      event.preventDefault();
      if (isPresenting()) turn(by);
      else walk(by);
    } else if (within && event.key === "Escape") {
      if (isPresenting()) switchPresenting();
      else close();
    }
  });
}
