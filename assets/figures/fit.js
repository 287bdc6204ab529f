// Figures are drawn for a wide page. On a narrow one, pictures and maps with square cells get lower, and this closes the
// gap that they leave: everything below moves up. Panels with axes of their own keep their height.

// oxlint-disable no-underscore-dangle -- plotly tells what it has made of a layout under such names only
const CLOSE = 1.5; // CSS pixels that make no difference

/** Numbers of the subplots' axes in a layout: "" for the first, then "2", "3", … */
const axesOf = (layout) =>
  Object.keys(layout)
    .filter((key) => /^yaxis\d*$/.test(key))
    .map((key) => key.slice("yaxis".length));

/**
 * Rows of panels as bands of the plotted height, each with the share of its height that it needs at a width.
 *
 * @param panels {low, high, aspect}: ends of a panel, 0…1 of the plotted height, and its cells' height per width as
 *     shares {rows, of: share of the plotted width}, or null where it keeps its height.
 * @param width, height plotted, in pixels.
 * @returns {low, high, share} from the bottom up, none of which overlap.
 */
export function bandsOf(panels, width, height) {
  const bands = [];
  for (const { low, high, aspect } of panels.toSorted((a, b) => a.low - b.low)) {
    const share = aspect === null ? 1 : Math.min(1, (aspect * width) / ((high - low) * height));
    const last = bands.at(-1);
    if (last && low < last.high - 1e-6) {
      last.high = Math.max(last.high, high);
      last.share = Math.max(last.share, share);
    } else {
      bands.push({ low, high, share });
    }
  }
  return bands;
}

/** Where a place goes when bands shrink, both in pixels from the bottom; `at` is 0…1 of the old height, or beyond. */
export function moved(at, bands, height) {
  const saved = bands.map(({ low, high, share }) => (1 - share) * (Math.min(Math.max(at, low), high) - low) * height);
  return at * height - saved.reduce((sum, pixels) => sum + pixels, 0);
}

/** What a figure was drawn with at first, before anything was moved. Gradio drops the height from its layout. */
function sentWith(plot) {
  const { layout, data, _fullLayout: full } = plot;
  // Where cells are kept square, plotly narrows an axis's domain, in the layout too, and keeps the one that was asked for.
  const domain = (axis) => axis._inputDomain ?? axis.domain;
  const span = (axis) => Math.abs(axis.range[1] - axis.range[0]);
  const panels = axesOf(full).map((number) => {
    const y = full[`yaxis${number}`];
    const x = full[y.anchor === "free" ? "xaxis" : `xaxis${y.anchor.slice(1)}`];
    const [low, high] = domain(y);
    const [left, right] = domain(x);
    return { number, low, high, aspect: y.scaleanchor ? (span(y) / span(x)) * (right - left) : null };
  });
  const paper = (kind) =>
    (layout[kind] ?? []).flatMap(({ y, yref }, i) => (yref === "paper" ? [[`${kind}[${i}].y`, y]] : []));
  const bars = Object.entries(layout).flatMap(([key, value]) =>
    /^coloraxis\d*$/.test(key) && value.colorbar?.y !== undefined ? [[`${key}.colorbar.y`, value.colorbar.y]] : [],
  );
  const places = [...paper("annotations"), ...paper("images"), ...bars];
  if (layout.legend?.y !== undefined) places.push(["legend.y", layout.legend.y]);
  const traces = data.flatMap((trace, i) => (trace.colorbar?.y === undefined ? [] : [[i, trace.colorbar.y]]));
  return { layout, panels, places, traces, total: full.height, height: full._size.h, width: 0 };
}

const seen = new WeakMap(); // what figures were drawn with at first

/** Moves the rows of a figure together, as its width asks for. */
export function fit(plot) {
  if (!plot._fullLayout?._size) return;
  plot.style.setProperty("--figure-height", `${plot._fullLayout.height}px`); // for a page that magnifies it
  if (seen.get(plot)?.layout !== plot.layout) seen.set(plot, sentWith(plot));
  const sent = seen.get(plot);
  const width = plot._fullLayout._size.w;
  if (width <= 0 || Math.abs(width - sent.width) < CLOSE) return;
  sent.width = width;
  const bands = bandsOf(sent.panels, width, sent.height);
  const height = moved(1, bands, sent.height);
  const total = sent.total - sent.height + height;
  if (Math.abs(total - plot._fullLayout.height) < CLOSE) return;
  const to = (y) => moved(y, bands, sent.height) / height;
  const change = { height: total, width: plot._fullLayout.width };
  for (const { number, low, high } of sent.panels) change[`yaxis${number}.domain`] = [to(low), to(high)];
  for (const [place, y] of sent.places) change[place] = to(y);
  const numbers = sent.traces.map(([i]) => i);
  if (numbers.length) window.Plotly.update(plot, { "colorbar.y": sent.traces.map(([, y]) => to(y)) }, change, numbers);
  else window.Plotly.relayout(plot, change);
}
