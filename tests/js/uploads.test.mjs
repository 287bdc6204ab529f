import assert from "node:assert/strict";
import { test } from "node:test";

import { makeUploads } from "../../assets/inspector/uploads.js";

const LARGE = { name: "image.jpg", size: 5_000_000 };
const SMALL = { name: "image.jpg", size: 5_000 }; // phones call them all the same
const described = ({ name, size }) => ({ orig_name: name, size, path: "/somewhere/else.jpg" });

test("a file that was chosen earlier and comes later is left out", () => {
  const uploads = makeUploads(() => {}, 1000);
  uploads.chosen(LARGE);
  uploads.chosen(SMALL);
  assert.equal(uploads.arrived(described(SMALL)), true);
  assert.equal(uploads.arrived(described(LARGE)), false);
  assert.equal(uploads.arrived(described(SMALL)), true);
});

test("in the order in which they were chosen, both are shown", () => {
  const uploads = makeUploads(() => {}, 1000);
  uploads.chosen(LARGE);
  assert.equal(uploads.arrived(described(LARGE)), true);
  uploads.chosen(SMALL);
  assert.equal(uploads.arrived(described(SMALL)), true);
});

test("when the last one is refused, the one before is welcome", () => {
  const uploads = makeUploads(() => {}, 1000);
  uploads.chosen(SMALL);
  uploads.chosen(LARGE);
  uploads.refused();
  assert.equal(uploads.arrived(described(SMALL)), true);
});

test("only what takes long is told, until it arrives", async () => {
  const told = [];
  const uploads = makeUploads(() => told.push(uploads.takesLong()), 5);
  uploads.chosen(SMALL);
  uploads.arrived(described(SMALL));
  uploads.chosen(LARGE);
  await new Promise((resolve) => setTimeout(resolve, 30));
  uploads.arrived(described(LARGE));
  assert.deepEqual(told, [false, false, false, true, false]);
});
