import assert from "node:assert/strict";
import { test } from "node:test";

import { colourTable, contrastOf, entryOf, inkOn } from "../../assets/inspector/scales.js";

const THEME = { ink: "#000000", chalk: "#ffffff" }; // as viz/theme.py has them

test("contrast is what WCAG 2 says of black, white and its own example of grey", () => {
  assert.equal(contrastOf([0, 0, 0], [255, 255, 255]).toFixed(2), "21.00");
  assert.equal(contrastOf([118, 118, 118], [255, 255, 255]).toFixed(2), "4.54"); // #767676, the lightest that passes
  assert.equal(contrastOf([9, 9, 9], [9, 9, 9]), 1);
});

test("numbers can be read on every colour of a scale from dark blue over white to dark brown", () => {
  const table = colourTable([
    [0, "#08306b"],
    [0.25, "#4a8cc6"],
    [0.5, "#f7f7f7"],
    [0.75, "#e08a3c"],
    [1, "#7f2704"],
  ]);
  for (let i = 0; i < 256; i++) {
    const colour = inkOn(entryOf(table, i), THEME);
    const channels = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    assert.ok(contrastOf(channels, entryOf(table, i)) >= 4.5, `${i}`);
  }
});
