import assert from "node:assert/strict";
import { test } from "node:test";

import { bandsOf, moved } from "../../assets/figures/fit.js";

// Two rows of square maps, 100 pixels each, over 200 pixels of a panel with axes; 20 pixels between all.
const HEIGHT = 440;
const at = (pixels) => pixels / HEIGHT;
const maps = (top, aspect) => ({ low: at(top - 100), high: at(top), aspect });
const PANELS = [maps(440, 1 / 3), maps(440, 1 / 4), maps(320, 1 / 3), { low: 0, high: at(200), aspect: null }];

test("a wide page leaves every panel as high as it is", () => {
  const bands = bandsOf(PANELS, 900, HEIGHT);
  assert.deepEqual(
    bands.map(({ share }) => share),
    [1, 1, 1],
  );
  assert.equal(moved(1, bands, HEIGHT), HEIGHT);
});

test("a narrow page lowers rows to what their highest map needs, and nothing else", () => {
  const bands = bandsOf(PANELS, 150, HEIGHT); // a third of 150 pixels: maps are 50 high
  assert.equal(moved(at(200), bands, HEIGHT), 200);
  assert.equal(moved(at(220), bands, HEIGHT), 220);
  assert.equal(Math.round(moved(at(320), bands, HEIGHT)), 270);
  assert.equal(Math.round(moved(at(340), bands, HEIGHT)), 290);
  assert.equal(Math.round(moved(1, bands, HEIGHT)), 340);
});

test("what hangs above and below the panels keeps its distance in pixels", () => {
  const bands = bandsOf(PANELS, 150, HEIGHT);
  assert.equal(Math.round(moved(1.1, bands, HEIGHT)), 340 + 44);
  assert.equal(Math.round(moved(-0.1, bands, HEIGHT)), -44);
});

test("a map beside a panel with axes does not pull it down", () => {
  const beside = [
    { low: 0, high: 0.5, aspect: 0.1 },
    { low: 0.1, high: 0.5, aspect: null },
  ];
  assert.deepEqual(bandsOf(beside, 100, HEIGHT), [{ low: 0, high: 0.5, share: 1 }]);
});
