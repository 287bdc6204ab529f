import { tokenToPixel } from "./geometry.js";

// Everything the mouse can do on the picture, from the keyboard.

// With the keys of a Chinese input method, which writes other brackets.
const BLOCKS = { "[": -1, "【": -1, "]": 1, "】": 1 };
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * Arrows move one token (with shift five), Enter or space pins, Esc unpins, , . change the group, and, wherever one does
 * not write, [ ] the block.
 */
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
    if (event.key !== "Escape" || isWriting(event) || !state.trace) return;
    if (state.present) app.present(false);
    else state.set({ pins: state.pins.slice(0, -1) });
  });
  window.addEventListener("keydown", (event) => {
    // Many keyboards have brackets on AltGr, which some systems report as Ctrl and Alt, others as Alt.
    const shortcut = event.metaKey || (event.ctrlKey && !event.altKey);
    const by = BLOCKS[event.key];
    if (!by || shortcut || isWriting(event) || !root.isConnected || !state.trace) return;
    app.goTo(state.block.index + by);
    app.takeOver();
  });
}

function isWriting({ target }) {
  return target.isContentEditable || (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && !/^(checkbox|radio|range)$/.test(target.type));
}

function moveBy(app, rows, cols) {
  const { state } = app;
  const { block } = state;
  const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);
  const token = { row: clamp(state.token.row + rows, block.rows), col: clamp(state.token.col + cols, block.cols) };
  app.point(tokenToPixel(state.trace.header.frame, token, block), "keyboard");
}
