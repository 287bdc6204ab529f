import assert from "node:assert/strict";
import { test } from "node:test";

import { makeFrameCounter } from "../../assets/inspector/frame_counter.js";

test("the rate is that of the latest frames", () => {
  const counter = makeFrameCounter();
  assert.equal(counter.rate(1000), 0);
  assert.equal(counter.rate(1500), 2);
  assert.equal(counter.rate(2000), 2);
  for (let now = 2100; now <= 3000; now += 100) counter.rate(now);
  assert.ok(Math.abs(counter.rate(3100) - 10) < 1e-9);
});

test("after a pause, counting starts anew", () => {
  const counter = makeFrameCounter();
  counter.rate(0);
  counter.rate(100);
  assert.equal(counter.rate(9000), 0);
});
