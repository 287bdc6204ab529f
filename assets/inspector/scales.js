// Colour scales as tables of 256 colours, made from the stops that viz/theme.py gives.

/** @param {[number, string][]} stops positions 0…1 with #rrggbb. @returns {Uint8Array} 256 × RGB */
export function colourTable(stops) {
  const colours = stops.map(([position, hex]) => [position, ...channelsOf(hex)]);
  const table = new Uint8Array(256 * 3);
  for (let i = 0, k = 0; i < 256; i++) {
    const position = i / 255;
    while (k < colours.length - 2 && position > colours[k + 1][0]) k++;
    const [p0, ...low] = colours[k];
    const [p1, ...high] = colours[k + 1];
    const t = (position - p0) / (p1 - p0);
    for (let c = 0; c < 3; c++) table[3 * i + c] = Math.round(low[c] + (high[c] - low[c]) * t);
  }
  return table;
}

export function channelsOf(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

/** Index into a table for a value between low and high; beyond them, the ends. */
export function tableIndex(value, low, high) {
  const i = Math.round(((value - low) / (high - low || 1)) * 255);
  return i < 0 ? 0 : i > 255 ? 255 : i;
}

/** CSS colours of a table, made once so that drawing does not format numbers. */
export function cssColours(table) {
  return Array.from({ length: 256 }, (_, i) => `rgb(${table[3 * i]},${table[3 * i + 1]},${table[3 * i + 2]})`);
}

/** A CSS gradient of a table, for legends. */
export function cssGradient(stops) {
  return `linear-gradient(to right, ${stops.map(([p, c]) => `${c} ${(100 * p).toFixed(1)}%`).join(", ")})`;
}

/** The theme's ink or chalk, whichever reads better on entry i of a table. */
export function inkOn(table, i, theme) {
  const luminance = 0.299 * table[3 * i] + 0.587 * table[3 * i + 1] + 0.114 * table[3 * i + 2];
  return luminance > 140 ? theme.ink : theme.chalk;
}

/** All scales of the theme. */
export function makeScales(theme) {
  const scale = (stops) => {
    const table = colourTable(stops);
    return { stops, table, css: cssColours(table), gradient: cssGradient(stops) };
  };
  return { diverging: scale(theme.diverging), sequential: scale(theme.sequential), cyclic: scale(theme.cyclic) };
}
