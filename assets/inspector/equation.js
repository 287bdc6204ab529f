import { tapPosition } from "./geometry.js";

// The aggregation of one channel at one token, as the model computed it: K·K products and their sum.

/**
 * @param {Block} block a block with dynamic kernels
 * @param {{row: number, col: number}} token
 * @param {number} slot position of the channel in block.channels
 * @returns {{channel, set, inputs: Float32Array, weights: Float32Array, products: Float32Array, output, expected,
 *   error, inside: boolean[]}} `error` is |output − expected| relative to the sum of the terms' magnitudes.
 */
export function equationAt(block, token, slot) {
  const channel = block.channels[slot];
  const set = channel % block.groups;
  const here = token.row * block.cols + token.col;
  const weights = block.kernelAt(here, set);
  const inputs = new Float32Array(block.taps);
  const products = new Float32Array(block.taps);
  const inside = [];
  let output = 0;
  let magnitude = 0;
  for (let tap = 0; tap < block.taps; tap++) {
    const place = tapPosition(token, tap, block.side, block);
    inside.push(place.inside);
    if (place.inside) inputs[tap] = block.inputs[slot * block.tokens + place.row * block.cols + place.col];
    const product = inputs[tap] * weights[tap];
    products[tap] = product;
    output += product;
    magnitude += Math.abs(product);
  }
  const expected = block.aggregated[slot * block.tokens + here];
  const error = Math.abs(output - expected) / (magnitude || 1);
  return { channel, set, inputs, weights, products, output, expected, error, inside };
}

/** Slots of block.channels whose channels use a kernel set. */
export function slotsOfSet(block, set) {
  return block.channels.flatMap((channel, slot) => (channel % block.groups === set ? [slot] : []));
}
