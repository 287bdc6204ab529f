import assert from "node:assert/strict";
import { test } from "node:test";

import { scrollFor } from "../../assets/lesson_drawer/sight.js";

// Blocks of a network begin at 300 pixels, a photo of 200 at 400, a sum of 250 at 1000.
const PHOTO = { lead: 300, target: 400, height: 200 };
const SUM = { lead: 300, target: 1000, height: 250 };

test("what fits below the lead leaves it on top", () => {
  assert.equal(scrollFor({ ...PHOTO, visible: 400 }), 292);
  assert.equal(scrollFor({ ...SUM, visible: 1200 }), 292);
});

test("what does not is scrolled up to, and no further", () => {
  assert.equal(scrollFor({ ...PHOTO, visible: 280 }), 600 + 8 - 280);
  assert.equal(scrollFor({ ...SUM, visible: 600 }), 1250 + 8 - 600);
});

test("what is higher than the window begins at its top", () => {
  assert.equal(scrollFor({ ...SUM, visible: 200 }), 1000 - 8);
  assert.equal(scrollFor({ lead: 0, target: 5, height: 900, visible: 300 }), 0);
});
