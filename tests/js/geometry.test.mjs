import assert from "node:assert/strict";
import { test } from "node:test";
import { clampToCrop, cropBox, pixelToToken, tapPosition, tokenToBox, tokenToPixel, windowToBox } from "../../assets/inspector/geometry.js";

// A 512 × 256 picture, resized to 512 × 256, of which the model sees the 224 × 224 in the middle.
const frame = { picture: [512, 256], resized: [512, 256], left: 144, top: 16, size: [224, 224] };
const block = { stride: 32, rows: 7, cols: 7 };

test("the crop box lies where the picture was cut", () => {
  assert.deepEqual(cropBox(frame), { left: 144, top: 16, right: 368, bottom: 240 });
});

test("every edge between tokens is exact", () => {
  assert.deepEqual(pixelToToken(frame, 144, 16, block), { row: 0, col: 0 });
  assert.deepEqual(pixelToToken(frame, 175, 47, block), { row: 0, col: 0 });
  assert.deepEqual(pixelToToken(frame, 176, 48, block), { row: 1, col: 1 });
  assert.deepEqual(pixelToToken(frame, 367, 239, block), { row: 6, col: 6 });
});

test("what was cropped away has no token", () => {
  for (const [x, y] of [[143, 100], [368, 100], [200, 15], [200, 240]]) {
    assert.equal(pixelToToken(frame, x, y, block), null);
  }
});

test("windows are not cut, cells are", () => {
  assert.deepEqual(windowToBox(frame, { row: 0, col: 0 }, block, 7), { left: 48, top: -80, right: 272, bottom: 144 });
  assert.deepEqual(windowToBox(frame, { row: 3, col: 3 }, block, 3), { left: 208, top: 80, right: 304, bottom: 176 });
  const coarse = { stride: 64, rows: 4, cols: 4 };
  assert.deepEqual(tokenToBox(frame, { row: 3, col: 3 }, coarse), { left: 336, top: 208, right: 368, bottom: 240 });
});

test("a token's pixel belongs to the token, at any scale", () => {
  const odd = { picture: [451, 300], resized: [384, 256], left: 80, top: 16, size: [224, 224] };
  for (let row = 0; row < 7; row++) {
    for (let col = 0; col < 7; col++) {
      const { x, y } = tokenToPixel(odd, { row, col }, block);
      assert.deepEqual(pixelToToken(odd, x, y, block), { row, col });
    }
  }
});

test("a pointer outside comes back to the nearest pixel that is seen", () => {
  assert.deepEqual(clampToCrop(frame, -50, 100), { x: 144, y: 100 });
  assert.deepEqual(clampToCrop(frame, 900, 900), { x: 367, y: 239 });
  const odd = { picture: [451, 300], resized: [384, 256], left: 80, top: 16, size: [224, 224] };
  for (const [x, y] of [[-9, -9], [999, -9], [-9, 999], [999, 999]]) {
    const pixel = clampToCrop(odd, x, y);
    assert.notEqual(pixelToToken(odd, pixel.x, pixel.y, block), null);
  }
});

test("taps run row by row, and know when they leave the grid", () => {
  assert.deepEqual(tapPosition({ row: 0, col: 6 }, 0, 3, block), { row: -1, col: 5, inside: false });
  assert.deepEqual(tapPosition({ row: 0, col: 6 }, 3, 3, block), { row: 0, col: 5, inside: true });
  assert.deepEqual(tapPosition({ row: 0, col: 6 }, 5, 3, block), { row: 0, col: 7, inside: false });
});
