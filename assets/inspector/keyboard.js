import { tokenToPixel } from "./geometry.js";

// Everything the mouse can do on the picture, from the keyboard.

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Arrows move one token (with shift five), Enter or space pins, Esc unpins, [ ] change the block, , . the group. */
export function listenToKeys(app) {
  const { state, root } = app;
  app.part("picture-upper").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !state.trace) return;
    const arrow = ARROWS[event.key];
    if (arrow) {
      event.preventDefault();
      moveBy(app, arrow[0] * (event.shiftKey ? 5 : 1), arrow[1] * (event.shiftKey ? 5 : 1));
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      app.pin(state.pixel);
    } else if (event.key === "," || event.key === ".") {
      const count = state.block.groups;
      if (count) state.set({ group: (state.group + (event.key === "." ? 1 : count - 1)) % count, slot: 0 });
    } else return;
    app.takeOver();
  });
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !state.trace) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox") return;
    if (event.key === "[" || event.key === "]") {
      app.goTo(state.block.index + (event.key === "]" ? 1 : -1));
      app.takeOver();
    } else if (event.key === "Escape") {
      if (state.present) app.present(false);
      else state.set({ pins: state.pins.slice(0, -1) });
    }
  });
}

function moveBy(app, rows, cols) {
  const { state } = app;
  const { block } = state;
  const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);
  const token = { row: clamp(state.token.row + rows, block.rows), col: clamp(state.token.col + cols, block.cols) };
  app.point(tokenToPixel(state.trace.header.frame, token, block), "keyboard");
}
