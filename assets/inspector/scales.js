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

/** How bright a colour of channels 0…255 is, 0…1: the relative luminance that WCAG 2 measures contrast with. */
function luminanceOf(channels) {
  const [red, green, blue] = Array.from(channels, (channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast of two colours, 1…21. */
export function contrastOf(one, other) {
  const [low, high] = [luminanceOf(one), luminanceOf(other)].toSorted((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** The theme's ink or chalk, whichever reads better on a colour of channels 0…255. */
export function inkOn(under, theme) {
  const [ink, chalk] = [theme.ink, theme.chalk].map((colour) => contrastOf(channelsOf(colour), under));
  return ink >= chalk ? theme.ink : theme.chalk;
}

/** Channels of entry i of a table. */
export function entryOf(table, i) {
  return table.subarray(3 * i, 3 * i + 3);
}

/** All scales of the theme. */
export function makeScales(theme) {
  const scale = (stops) => {
    const table = colourTable(stops);
    return { stops, table, css: cssColours(table), gradient: cssGradient(stops) };
  };
  return { diverging: scale(theme.diverging), sequential: scale(theme.sequential), cyclic: scale(theme.cyclic) };
}
