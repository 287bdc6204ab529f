import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { turnPage } from "../../assets/lesson_drawer/page_turner.js";

beforeEach(() => {
  globalThis.window = { matchMedia: () => ({ matches: true }) };
});

/** A text of 250 pixels in a window of 100, or as high as the window; its answer adds 60 when it unfolds. */
function makeText(height) {
  const text = { scrollHeight: height, clientHeight: 100, scrollTop: 0 };
  text.scrollBy = ({ top }) => {
    text.scrollTop = Math.min(Math.max(0, text.scrollTop + top), text.scrollHeight - text.clientHeight);
  };
  const answer = { open: false, scrollIntoView: () => (text.scrollHeight = height + 60) };
  return { text, answer };
}

test("pages come first, then the answer, its rest, and then another step", () => {
  const { text, answer } = makeText(250);
  const seen = [];
  while (turnPage(text, answer, 1)) seen.push([text.scrollTop, answer.open]);
  assert.deepEqual(seen, [
    [85, false],
    [150, false],
    [150, true],
    [210, true],
  ]);
});

test("back goes to the start and then to another step; an answer that was seen stays", () => {
  const { text, answer } = makeText(250);
  while (turnPage(text, answer, 1));
  const seen = [];
  while (turnPage(text, answer, -1)) seen.push(text.scrollTop);
  assert.deepEqual(seen, [125, 40, 0]);
  assert.ok(answer.open);
});

test("a short text without a question has nothing to turn", () => {
  assert.equal(turnPage(makeText(100).text, null, 1), false);
  assert.equal(turnPage(makeText(100).text, null, -1), false);
});
