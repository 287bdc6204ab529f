import { isOneForAll } from "./mixing.js";
import { channelsOf, tableIndex } from "./scales.js";
import {
  centreAgainstSurround,
  displacements,
  dynamics,
  extent,
  kernelComponents,
  kernelRange,
  kernelSimilarity,
  magnitudeQuantile,
} from "./statistics.js";

// Colourings of the whole picture: one small picture with a pixel (or a glyph) per token, and its legend.

export const COLOURINGS = [
  "none",
  "context",
  "contextColours",
  "similarity",
  "kernelColours",
  "displacement",
  "centre",
  "dynamic",
  "glyphs",
];

const NEED_KERNELS = new Set(["similarity", "kernelColours", "displacement", "centre", "dynamic", "glyphs"]);
const USE_GROUP = new Set(["similarity", "kernelColours", "displacement", "centre", "dynamic"]);
const GLYPH_GAP = 1; // taps between kernels

export function isAvailable(colouring, block) {
  if (colouring === "none") return true;
  // Kernels of the picture differ by rounding alone from token to token: a colouring would show nothing else.
  return NEED_KERNELS.has(colouring) ? block.groups > 0 && !isOneForAll(block) : block.mean !== null;
}

/** Whether a colouring can look at one group instead of all. */
export function followsGroup(colouring) {
  return USE_GROUP.has(colouring);
}

/**
 * @param {Block} block
 * @param {string} colouring one of COLOURINGS, available for the block
 * @param {{token: number, group: number, scope: "all" | "group"}} focus
 * @returns {{width, height, rgba: Uint8ClampedArray, legend: object} | null}
 */
export function colourBlock(block, colouring, focus, scales) {
  const group = focus.scope === "group" ? focus.group : null;
  switch (colouring) {
    case "context":
      return signedMap(block, block.mean, magnitudeQuantile(block.mean, 0.99), scales);
    case "contextColours":
      return threeColours(block, block.colours);
    case "similarity": {
      // Kernels of one group share much, so cosines crowd near one: from the least similar token, not from −1.
      const values = kernelSimilarity(block, focus.token, group);
      return sequentialMap(block, values, extent(values)[0], 1, scales);
    }
    case "kernelColours":
      return threeColours(block, kernelComponents(block, group));
    case "displacement":
      return directionMap(block, displacements(block, group), scales);
    case "centre": {
      const values = centreAgainstSurround(block, group);
      return signedMap(block, values, magnitudeQuantile(values, 1), scales);
    }
    case "dynamic": {
      const values = dynamics(block, group);
      return sequentialMap(block, values, ...extent(values), scales);
    }
    case "glyphs":
      return glyphField(block, focus.group, scales);
    default:
      return null;
  }
}

function signedMap(block, values, range, scales) {
  const legend = { kind: "bar", scale: "diverging", low: -range, high: range };
  return paint(block, (t) => tableIndex(values[t], -range, range), scales.diverging.table, legend);
}

function sequentialMap(block, values, low, high, scales) {
  const legend = { kind: "bar", scale: "sequential", low, high };
  return paint(block, (t) => tableIndex(values[t], low, high), scales.sequential.table, legend);
}

function paint(block, indexOf, table, legend) {
  const rgba = new Uint8ClampedArray(4 * block.tokens);
  for (let t = 0; t < block.tokens; t++) {
    const i = 3 * indexOf(t);
    rgba[4 * t] = table[i];
    rgba[4 * t + 1] = table[i + 1];
    rgba[4 * t + 2] = table[i + 2];
    rgba[4 * t + 3] = 255;
  }
  return { width: block.cols, height: block.rows, rgba, legend };
}

function threeColours(block, colours) {
  const rgba = new Uint8ClampedArray(4 * block.tokens).fill(255);
  for (let t = 0; t < block.tokens; t++) rgba.set(colours.subarray(3 * t, 3 * t + 3), 4 * t);
  return { width: block.cols, height: block.rows, rgba, legend: { kind: "components" } };
}

/** Hue is the direction, strength of colour the length. */
function directionMap(block, vectors, scales) {
  const lengths = new Float32Array(block.tokens);
  for (let t = 0; t < block.tokens; t++) lengths[t] = Math.hypot(vectors[2 * t], vectors[2 * t + 1]);
  const longest = magnitudeQuantile(lengths, 0.98);
  const rgba = new Uint8ClampedArray(4 * block.tokens).fill(255);
  for (let t = 0; t < block.tokens; t++) {
    rgba.set(directionColour(vectors[2 * t], vectors[2 * t + 1], longest, scales), 4 * t);
  }
  return { width: block.cols, height: block.rows, rgba, legend: { kind: "wheel", longest } };
}

/** Colour of a displacement: grey-white where there is none, the full hue at `longest`. */
export function directionColour(x, y, longest, scales) {
  const turn = (Math.atan2(y, x) / (2 * Math.PI) + 1) % 1;
  const strength = Math.min(1, Math.hypot(x, y) / longest);
  const neutral = channelsOf(scales.diverging.stops[scales.diverging.stops.length >> 1][1]);
  const i = 3 * tableIndex(turn, 0, 1);
  return neutral.map((value, c) => value + (scales.cyclic.table[i + c] - value) * strength);
}

/** The kernel of one group at every token, as K×K pixels with a gap between tokens. */
function glyphField(block, group, scales) {
  const { side } = block;
  const cell = side + GLYPH_GAP;
  const width = block.cols * cell;
  const rgba = new Uint8ClampedArray(4 * width * block.rows * cell);
  const range = kernelRange(block);
  const { table } = scales.diverging;
  for (let t = 0; t < block.tokens; t++) {
    const kernel = block.kernelAt(t, group);
    const top = Math.floor(t / block.cols) * cell;
    const left = (t % block.cols) * cell;
    for (let tap = 0; tap < block.taps; tap++) {
      const at = 4 * ((top + Math.floor(tap / side)) * width + left + (tap % side));
      const i = 3 * tableIndex(kernel[tap], -range, range);
      rgba[at] = table[i];
      rgba[at + 1] = table[i + 1];
      rgba[at + 2] = table[i + 2];
      rgba[at + 3] = 255;
    }
  }
  const legend = { kind: "bar", scale: "diverging", low: -range, high: range };
  return { width, height: block.rows * cell, rgba, legend };
}
