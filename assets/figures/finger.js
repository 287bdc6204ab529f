// Under a finger, a figure is a part of the page: it scrolls with it, and a tap shows the numbers.

// oxlint-disable no-underscore-dangle -- plotly tells what it has made of a layout under such names only
/** Plotly would take a finger that moves for a wish to zoom, and its bar of tools, which covers titles, never goes. */
export function leaveToFinger(plot) {
  const touch = window.matchMedia("(hover: none)").matches;
  if (touch && plot._fullLayout && plot._fullLayout.dragmode !== false) window.Plotly.relayout(plot, { dragmode: false });
}
