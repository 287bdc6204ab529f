import { any, make } from "./drawing.js";
import { equationAt, slotsOfSet } from "./equation.js";
import { refill } from "./focus.js";
import { tapOffset } from "./mixing.js";
import { entryOf, inkOn, tableIndex } from "./scales.js";
import { kernelRange, magnitudeQuantile, once } from "./statistics.js";
import { number, numbers } from "./texts.js";

// One channel's aggregation, written out: inputs times weights, added up, beside what the model computed.

const WRITTEN_SIDE = 3; // the largest window whose cells have room for numbers

export function makeEquationView(app) {
  const { state, scales, texts } = app;
  const root = app.part("equation");
  const body = app.part("equation-body");
  const note = app.part("equation-note");
  const choices = app.part("equation-channels");
  const sum = app.part("equation-output");
  const expected = app.part("equation-expected");
  const agrees = app.part("equation-agrees");
  const term = app.part("equation-term");
  const grids = ["inputs", "weights", "products"].map((name) => ({
    grid: app.part(`equation-${name}`),
    cells: [],
    shown: [],
  }));
  let side = 0; // of the grids, in cells

  /** Cells for a window of another size; numbers are written into those of the smallest windows only. */
  function rebuild(newSide) {
    side = newSide;
    root.classList.toggle("lsx-bare", side > WRITTEN_SIDE);
    for (const one of grids) {
      one.grid.style.setProperty("--side", side);
      one.cells = Array.from({ length: side * side }, () => make("span", "lsx-cell"));
      one.shown = new Array(side * side);
      one.grid.replaceChildren(...one.cells);
    }
  }

  /** The largest product in words, where the cells are too small for numbers. */
  function tellTerm({ inputs, weights, products }) {
    term.hidden = side <= WRITTEN_SIDE;
    if (term.hidden) return;
    let most = 0;
    products.forEach((product, tap) => (most = Math.abs(product) > Math.abs(products[most]) ? tap : most));
    const [input, weight, product] = [inputs, weights, products].map((values) => number(values[most], 3));
    term.textContent = texts.say("equation.term", { ...tapOffset(most, side), input, weight, product });
  }

  function paint({ cells, shown }, values, range, inside) {
    const { table, css } = scales.diverging;
    const written = numbers(values);
    for (let tap = 0; tap < cells.length; tap++) {
      const index = tableIndex(values[tap], -range, range);
      const key = `${written[tap]} ${inside[tap]} ${index}`;
      if (shown[tap] === key) continue;
      shown[tap] = key;
      const cell = cells[tap];
      const text = inside[tap] ? written[tap] : "0";
      cell.textContent = side > WRITTEN_SIDE ? "" : text;
      cell.title = side > WRITTEN_SIDE ? text : "";
      cell.style.backgroundColor = inside[tap] ? css[index] : "";
      cell.style.color = inside[tap] ? inkOn(entryOf(table, index), app.theme) : "";
      cell.classList.toggle("lsx-padding", !inside[tap]);
    }
  }

  function showChoices(slots) {
    const buttons = slots.map((slot, i) => {
      const button = make("button", "lsx-chip", String(state.block.channels[slot]));
      button.type = "button";
      button.setAttribute("aria-pressed", String(i === state.slot));
      button.addEventListener("click", () => state.set({ slot: i }));
      return button;
    });
    refill(choices, buttons);
  }

  return {
    draw(changed) {
      if (!any(changed, "trace", "block", "token", "group", "slot", "lang", "theme")) return;
      const { block } = state;
      const possible = block.groups > 0 && block.inputs !== null;
      root.hidden = block.groups === 0;
      body.hidden = !possible;
      if (!possible) return;
      if (side !== block.side) rebuild(block.side);
      const slots = slotsOfSet(block, state.group);
      const slot = slots[Math.min(state.slot, slots.length - 1)];
      if (any(changed, "trace", "block", "group", "slot", "lang")) {
        showChoices(slots);
        const channel = block.channels[slot];
        note.textContent = texts.say("equation.note", { channel, groups: block.groups, set: state.group });
      }
      const result = equationAt(block, state.token, slot);
      const inputRange = once(block, "inputRange", () => magnitudeQuantile(block.inputs, 0.99));
      const everywhere = new Array(block.taps).fill(true);
      paint(grids[0], result.inputs, inputRange, result.inside);
      paint(grids[1], result.weights, kernelRange(block), everywhere);
      let most = 0;
      for (const product of result.products) most = Math.max(most, Math.abs(product));
      paint(grids[2], result.products, most || 1, everywhere);
      [sum.textContent, expected.textContent] = [result.output, result.expected].map((value) => number(value, 4));
      tellTerm(result);
      const good = result.error <= 1e-4;
      agrees.textContent = good ? "✓" : "≠";
      agrees.title = texts.say(good ? "equation.agrees" : "equation.differs");
      agrees.classList.toggle("lsx-bad", !good);
    },
  };
}
