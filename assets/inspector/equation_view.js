import { any, make } from "./drawing.js";
import { equationAt, slotsOfSet } from "./equation.js";
import { inkOn, tableIndex } from "./scales.js";
import { kernelRange, magnitudeQuantile, once } from "./statistics.js";
import { number, numbers } from "./texts.js";

// One channel's aggregation, written out: nine inputs times nine weights, added up, beside what the model computed.

export function makeEquationView(app) {
  const { state, scales, texts } = app;
  const root = app.part("equation");
  const body = app.part("equation-body");
  const note = app.part("equation-note");
  const choices = app.part("equation-channels");
  const sum = app.part("equation-output");
  const expected = app.part("equation-expected");
  const agrees = app.part("equation-agrees");
  const grids = ["inputs", "weights", "products"].map((name) => {
    const grid = app.part(`equation-${name}`);
    const cells = Array.from({ length: 9 }, () => grid.appendChild(make("span", "lsx-cell")));
    return { grid, cells, shown: new Array(9) };
  });

  function paint({ cells, shown }, values, range, inside) {
    const { table, css } = scales.diverging;
    const written = numbers(values);
    for (let tap = 0; tap < 9; tap++) {
      const index = tableIndex(values[tap], -range, range);
      const key = `${written[tap]} ${inside[tap]} ${index}`;
      if (shown[tap] === key) continue;
      shown[tap] = key;
      const cell = cells[tap];
      cell.textContent = inside[tap] ? written[tap] : "0";
      cell.style.backgroundColor = inside[tap] ? css[index] : "";
      cell.style.color = inside[tap] ? inkOn(table, index, app.theme) : "";
      cell.classList.toggle("lsx-padding", !inside[tap]);
    }
  }

  function showChoices(slots) {
    choices.replaceChildren();
    slots.forEach((slot, i) => {
      const button = make("button", "lsx-chip", String(state.block.channels[slot]));
      button.type = "button";
      button.setAttribute("aria-pressed", String(i === state.slot));
      button.addEventListener("click", () => state.set({ slot: i }));
      choices.append(button);
    });
  }

  return {
    draw(changed) {
      if (!any(changed, "trace", "block", "token", "group", "slot", "lang", "theme")) return;
      const { block } = state;
      const possible = block.inputs !== null && block.taps === 9;
      root.hidden = block.groups === 0;
      body.hidden = !possible;
      if (!possible) return;
      const slots = slotsOfSet(block, state.group);
      const slot = slots[Math.min(state.slot, slots.length - 1)];
      if (any(changed, "trace", "block", "group", "slot", "lang")) {
        showChoices(slots);
        const channel = block.channels[slot];
        note.textContent = texts.say("equation.note", { channel, groups: block.groups, set: state.group });
      }
      const result = equationAt(block, state.token, slot);
      const inputRange = once(block, "inputRange", () => magnitudeQuantile(block.inputs, 0.99));
      const everywhere = new Array(9).fill(true);
      paint(grids[0], result.inputs, inputRange, result.inside);
      paint(grids[1], result.weights, kernelRange(block), everywhere);
      let most = 0;
      for (const product of result.products) most = Math.max(most, Math.abs(product));
      paint(grids[2], result.products, most || 1, everywhere);
      [sum.textContent, expected.textContent] = [result.output, result.expected].map((value) => number(value, 4));
      const good = result.error <= 1e-4;
      agrees.textContent = good ? "✓" : "≠";
      agrees.title = texts.say(good ? "equation.agrees" : "equation.differs");
      agrees.classList.toggle("lsx-bad", !good);
    },
  };
}
