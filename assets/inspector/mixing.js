// How a block mixes tokens: what it perceives and aggregates, as keys of sentences and the values that they name.

// Mixers whose sentences say more than their block's kind does.
const OWN_WORDS = new Set(["window", "cga", "lsra", "sdta", "aff"]);

/** One kernel set for the whole picture, the same at every token. */
export function isOneForAll(block) {
  return block.kind === "dynamic" && !block.kernelLarge;
}

/** @returns {[string, object]} what decides the weights of a token */
export function perceptionOf(block) {
  const { kind, mixer, kernelLarge, stride } = block;
  const window = (side) => ({ side, pixels: side * stride });
  if (OWN_WORDS.has(mixer)) return [`sees.${mixer}`, {}];
  if (kind === "dw") return kernelLarge > 1 ? ["sees.lkp", window(kernelLarge)] : ["sees.dw", {}];
  if (isOneForAll(block)) return ["sees.picture", {}];
  if (kind === "ls" || kind === "dynamic") {
    return kernelLarge > 1 ? ["sees.ls", window(kernelLarge)] : ["sees.own", {}];
  }
  return [`sees.${kind}`, {}];
}

/** @returns {[string, object] | null} what is added up for a token; null where nothing is */
export function aggregationOf({ kind, mixer, kernelSmall, stride }) {
  if (kind === "none") return null;
  if (["window", "cga", "sdta", "aff"].includes(mixer)) return [`mixes.${mixer === "cga" ? "window" : mixer}`, {}];
  if (kind === "msa" || kind === "attention") return ["mixes.msa", {}];
  return ["mixes", { side: kernelSmall, pixels: kernelSmall * stride }];
}

/** Why a block without kernels and attention to show has none. @returns {[string, object]} */
export function absenceOf({ kind, mixer, kernelLarge, kernelSmall, tokens }) {
  if (kind === "msa" || kind === "attention") return ["wall.tooLarge", { tokens }];
  if (kind === "none" || mixer === "aff" || mixer === "sdta") return [`wall.${kind === "none" ? "none" : mixer}Note`, {}];
  return kernelLarge > 1 ? ["wall.lkpNote", { side: kernelSmall }] : ["wall.fixedNote", { side: kernelSmall }];
}

/** A tap's row and column from the centre of a side × side window, as one reads them. */
export function tapOffset(tap, side) {
  const signed = (steps) => (steps > 0 ? `+${steps}` : String(steps).replace("-", "−"));
  return { row: signed(Math.floor(tap / side) - (side >> 1)), column: signed((tap % side) - (side >> 1)) };
}
