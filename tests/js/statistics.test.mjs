import assert from "node:assert/strict";
import { test } from "node:test";
import { readAddress, writeAddress } from "../../assets/inspector/address.js";
import { colourTable, tableIndex } from "../../assets/inspector/scales.js";
import {
  centreAgainstSurround,
  cosine,
  displacements,
  dynamics,
  kernelSimilarity,
  magnitudeQuantile,
  meanKernels,
  principalScores,
  shareExplained,
  sortedGroups,
} from "../../assets/inspector/statistics.js";
import { number, numbers } from "../../assets/inspector/texts.js";

/** Two tokens, two groups. Group 0 is the same at both tokens; group 1 changes its sign. */
function block() {
  const still = [0, 0, 0, 0, 1, 0, 0, 0, 0];
  const turning = [0, 0, 0, 0, 0, 2, 0, 0, 0];
  const kernels = Float32Array.from([...still, ...turning, ...still, ...turning.map((w) => -w)]);
  const size = 18;
  return {
    rows: 1,
    cols: 2,
    tokens: 2,
    groups: 2,
    taps: 9,
    kernels,
    kernelsAt: (t) => kernels.subarray(t * size, (t + 1) * size),
    kernelAt: (t, g) => kernels.subarray(t * size + 9 * g, t * size + 9 * (g + 1)),
  };
}

test("the mean kernel explains all of what stays and nothing of what cancels", () => {
  const b = block();
  assert.equal(meanKernels(b)[4], 1);
  assert.equal(meanKernels(b)[14], 0);
  assert.deepEqual([...shareExplained(b)], [1, 0]);
});

test("groups are sorted by what is asked for", () => {
  assert.deepEqual(sortedGroups(block(), 0, "index"), [0, 1]);
  assert.deepEqual(sortedGroups(block(), 0, "strength"), [1, 0]);
  assert.deepEqual(sortedGroups(block(), 0, "difference"), [1, 0]);
});

test("similarity is one with itself, and follows the chosen group", () => {
  assert.equal(cosine([1, 0], [0, 1]), 0);
  assert.ok(Math.abs(kernelSimilarity(block(), 0)[1] - (1 - 4) / 5) < 1e-6);
  assert.deepEqual([...kernelSimilarity(block(), 0, 0)], [1, 1]);
  assert.deepEqual([...kernelSimilarity(block(), 0, 1)], [1, -1]);
});

test("displacement points to where the weights are", () => {
  assert.deepEqual([...displacements(block(), 1)], [1, 0, 1, 0]); // one token to the right
  assert.ok(Math.abs(displacements(block())[0] - 2 / 3) < 1e-6); // |w| is 1 in the centre and 2 to the right
});

test("centre against surround is one for the centre alone and minus one without it", () => {
  assert.deepEqual([...centreAgainstSurround(block(), 0)], [1, 1]);
  assert.deepEqual([...centreAgainstSurround(block(), 1)], [-1, -1]);
});

test("what never changes is not dynamic", () => {
  assert.deepEqual([...dynamics(block(), 0)], [0, 0]);
  assert.deepEqual([...dynamics(block(), 1)], [1, 1]);
});

test("principal components find the direction of largest spread", () => {
  const points = [[-3, 0.1], [-1, -0.1], [1, -0.1], [3, 0.1]];
  const [first, second] = principalScores((t) => points[t], 4, 2, 2);
  points.forEach(([x, y], t) => {
    assert.ok(Math.abs(first[t] - x) < 1e-5);
    assert.ok(Math.abs(second[t] - y) < 1e-5);
  });
});

test("a quantile of magnitudes leaves outliers outside", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => (i < 999 ? (i % 2 ? -1 : 1) : 100));
  assert.ok(magnitudeQuantile(values, 0.99) < 1.1);
  assert.equal(magnitudeQuantile(values, 1), 100);
  assert.equal(magnitudeQuantile(new Float32Array(4), 0.9), 1);
});

test("a scale's table hits its stops and clips beyond them", () => {
  const table = colourTable([[0, "#000000"], [0.5, "#ff0000"], [1, "#ffffff"]]);
  assert.deepEqual([...table.slice(0, 3)], [0, 0, 0]);
  assert.deepEqual([...table.slice(-3)], [255, 255, 255]);
  assert.deepEqual([tableIndex(-9, -1, 1), tableIndex(0, -1, 1), tableIndex(9, -1, 1)], [0, 128, 255]);
});

test("numbers read well", () => {
  assert.equal(number(-1.23456, 2), "−1.23");
  assert.equal(number(0), "0.000");
  assert.deepEqual(numbers([0.0512, -0.0004, -0.02]), ["0.051", "0", "−0.020"]);
});

test("the address keeps the state, other parameters, and no pixel of a visitor's own picture", () => {
  const state = { example: "cat", model: "lsnet_t", block: "blocks2.3", pixel: { x: 3, y: 4 }, view: "none", lang: "en" };
  const search = writeAddress("?__theme=dark", state);
  assert.equal(search, "?__theme=dark&img=cat&model=lsnet_t&block=blocks2.3&px=3,4&lang=en");
  assert.deepEqual(readAddress(search).px, { x: 3, y: 4 });
  assert.ok(!writeAddress(search, { ...state, example: null }).match(/img|px/));
  assert.equal(readAddress("?px=1,<script>").px, null);
});
