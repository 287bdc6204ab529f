// Canvases that are sharp on every screen, and the pieces that several views draw.

/** Fit a canvas to a size in CSS pixels. Returns its context, scaled so that one unit is a CSS pixel. */
export function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  const context = canvas.getContext("2d");
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    delete canvas.dataset.font; // a resized canvas forgets its settings
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Set a context's font only where it differs: in Chromium each setting can cost a recalculation of the page's style. */
export function setFont(context, font) {
  if (context.canvas.dataset.font === font) return;
  context.font = font;
  context.canvas.dataset.font = font;
}

/** Set an element's text only where it differs. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Whether any of these keys changed. */
export function any(changed, ...keys) {
  return keys.some((key) => changed.has(key));
}

/** A kernel as a square of coloured taps. `css` is a scale's 256 colours; the range is ±`range`. */
export function drawKernel(context, kernel, x, y, size, range, css, gap = 0) {
  const side = kernel.length === 9 ? 3 : Math.round(Math.sqrt(kernel.length));
  const cell = size / side;
  const factor = 127.5 / range;
  for (let tap = 0; tap < kernel.length; tap++) {
    const index = Math.round(kernel[tap] * factor + 127.5);
    context.fillStyle = css[index < 0 ? 0 : index > 255 ? 255 : index];
    const col = tap % side;
    context.fillRect(x + col * cell, y + ((tap - col) / side) * cell, cell - gap, cell - gap);
  }
}

/** A small picture of pixels, to be drawn enlarged. */
export function pixelCanvas(width, height, rgba, reuse = null) {
  const canvas = reuse ?? document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  return canvas;
}

/** Diagonal lines: the model does not see this. */
export function hatchPattern(context, colour) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 1.2;
  for (const shift of [-8, 0, 8]) {
    pen.beginPath();
    pen.moveTo(shift - 1, 9);
    pen.lineTo(shift + 9, -1);
    pen.stroke();
  }
  return context.createPattern(tile, "repeat");
}

/** Small noughts: here the model reads zeros. */
export function noughtPattern(context, colour, font) {
  const tile = document.createElement("canvas");
  const pen = fitCanvas(tile, 16, 16);
  pen.fillStyle = colour;
  pen.font = `600 10px ${font}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText("0", 8, 8);
  const pattern = context.createPattern(tile, "repeat");
  const ratio = 16 / tile.width;
  pattern.setTransform(new DOMMatrix([ratio, 0, 0, ratio, 0, 0]));
  return pattern;
}

/** An element with text; the only way in which text gets into the page. */
export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
