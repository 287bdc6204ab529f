import assert from "node:assert/strict";
import { test } from "node:test";
import { equationAt, slotsOfSet } from "../../assets/inspector/equation.js";
import { readArray, readPayload } from "../../assets/inspector/payload_reader.js";

/** A payload written by hand: one LS block with 2 × 1 tokens, 1 group, 1 channel. */
function handmade({ version = 1, magic = "LSNX" } = {}) {
  const kernels = Array.from({ length: 18 }, (_, i) => i); // token 0: 0…8, token 1: 9…17
  const arrays = { kernels, inputs: [2, 3], aggregated: [4 * 2 + 7 * 3, 10 * 2 + 13 * 3], mean: [0, 0] };
  let offset = 0;
  const shapes = { kernels: [2, 1, 1, 9], inputs: [1, 2, 1], aggregated: [1, 2, 1], mean: [2, 1] };
  const entry = { name: "blocks1.1", kind: "ls", stage: 1, stride: 8, grid: [2, 1], kernelLarge: 7, kernelSmall: 3, dim: 8, channels: [0] };
  for (const [name, values] of Object.entries(arrays)) {
    entry[name] = { dtype: "f32", shape: shapes[name], offset };
    offset += Math.ceil((4 * values.length) / 8) * 8;
  }
  const header = { blocks: [entry], picture: { dtype: "u8", shape: [3], offset, mime: "image/jpeg" } };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const buffer = new ArrayBuffer(16 + headerBytes + offset + 8);
  const bytes = new Uint8Array(buffer);
  bytes.fill(32, 16, 16 + headerBytes);
  bytes.set(new TextEncoder().encode(magic));
  bytes.set(text, 16);
  const view = new DataView(buffer);
  view.setUint32(4, version, true);
  view.setUint32(8, headerBytes, true);
  view.setUint32(12, buffer.byteLength, true);
  for (const [name, values] of Object.entries(arrays)) {
    values.forEach((value, i) => view.setFloat32(16 + headerBytes + entry[name].offset + 4 * i, value, true));
  }
  return buffer;
}

test("kernels are read token by token", () => {
  const [block] = readPayload(handmade()).blocks;
  assert.equal(block.groups, 1);
  assert.deepEqual([...block.kernelAt(1, 0)], [9, 10, 11, 12, 13, 14, 15, 16, 17]);
  assert.equal(block.attention, null);
});

test("the equation reads zeros beyond the grid and agrees with what was computed", () => {
  const [block] = readPayload(handmade()).blocks;
  assert.deepEqual(slotsOfSet(block, 0), [0]);
  const upper = equationAt(block, { row: 0, col: 0 }, 0);
  assert.deepEqual([...upper.inputs], [0, 0, 0, 0, 2, 0, 0, 3, 0]);
  assert.deepEqual([upper.output, upper.expected, upper.error], [29, 29, 0]);
  assert.equal(equationAt(block, { row: 1, col: 0 }, 0).output, 59);
});

test("what is not a payload of this version is refused", () => {
  assert.throws(() => readPayload(handmade({ magic: "JUNK" })), /LSNX/);
  assert.throws(() => readPayload(handmade({ version: 9 })), /version 1, got 9/);
  assert.throws(() => readPayload(handmade().slice(0, -8)), /bytes, got/);
  assert.throws(() => readPayload(new ArrayBuffer(3)), /LSNX/);
});

test("f24 holds the upper three bytes of a float32", () => {
  const values = [1, -2.5, 0, 3.0517578125e-5];
  const bytes = new Uint8Array(12);
  values.forEach((value, i) => {
    const view = new DataView(new ArrayBuffer(4));
    view.setFloat32(0, value, true);
    for (let k = 0; k < 3; k++) bytes[3 * i + k] = view.getUint8(k + 1);
  });
  assert.deepEqual([...readArray(bytes.buffer, 0, { dtype: "f24", shape: [4], offset: 0 })], values);
});
