import { equationAt, slotsOfSet } from "./equation.js";
import { cropBox, tokenToBox, windowToBox } from "./geometry.js";

// window.lsnetExplorer: the state, readable from outside, for tests, tours and the curious.

export function publishState(app) {
  const { state, texts } = app;
  const copyOf = (object) => ({ ...object });
  const here = () => app.tokenIndex(state.token);
  const read = {
    ready: () => state.trace !== null,
    model: () => state.trace?.header.model ?? null,
    example: () => state.trace?.header.example ?? null,
    block: () => state.block?.name ?? null,
    blocks: () => state.trace?.blocks.map(({ name, kind }) => ({ name, kind })) ?? [],
    pixel: () => copyOf(state.pixel),
    token: () => copyOf(state.token),
    group: () => state.group,
    head: () => state.head,
    pins: () => state.pins.map(copyOf),
    lang: () => texts.lang,
    view: () => state.colouring,
    drawMs: () => state.drawMs,
    live: () => state.live,
    /** In picture pixels: edges of what the model sees, of the token's cell and of the two windows. */
    boxes: () => {
      const { block, token } = state;
      const { frame } = state.trace.header;
      const around = (side) => (side ? windowToBox(frame, token, block, side) : null);
      const windows = { perception: around(block.kernelLarge), aggregation: around(block.kernelSmall) };
      return { crop: cropBox(frame), token: tokenToBox(frame, token, block), ...windows };
    },
    equation: () => {
      const { block, token, group, slot } = state;
      if (!block?.inputs) return null;
      const slots = slotsOfSet(block, group);
      return equationAt(block, token, slots[Math.min(slot, slots.length - 1)]);
    },
  };
  window.lsnetExplorer = {
    /** The dynamic kernel of a group at the token; null in a block without. */
    kernel: (group) => (state.block?.groups ? state.block.kernelAt(here(), group).slice() : null),
    /** How the token weighs all tokens: a head, or the mean of all; null in a block without attention. */
    attention: (head = null) => (state.block?.heads ? state.block.attentionRow(here(), head).slice() : null),
    /** Where a picture pixel lies in the browser's window. */
    clientOf: (pixel) => app.pictureView.clientOf(pixel),
  };
  for (const [name, get] of Object.entries(read)) {
    Object.defineProperty(window.lsnetExplorer, name, { get, enumerable: true });
  }
}
