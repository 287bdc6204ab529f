import { colourBlock, isAvailable } from "./colourings.js";
import { any, fitCanvas, hatchPattern, noughtPattern, pixelCanvas, setFont } from "./drawing.js";
import { clampToCrop, cropBox, tokenToBox, windowToBox } from "./geometry.js";
import { isOneForAll } from "./mixing.js";
import { channelsOf, inkOn } from "./scales.js";

// The picture with its colouring below, and the windows of the pointed token above.

const LOWER = ["trace", "bitmap", "size", "theme", "block", "colouring", "scope", "opacity", "grid", "lang"];
const UPPER = ["trace", "bitmap", "size", "theme", "block", "token", "pixel", "pins", "head", "colouring"];

export function makePictureView(app) {
  const { state, scales, theme } = app;
  const frameNode = app.part("picture-frame");
  const lower = app.part("picture-lower");
  const upper = app.part("picture-upper");
  const small = document.createElement("canvas");
  let place = null; // where the picture lies on the canvas
  let noughts = null;
  const tagWidths = new Map();

  function measure() {
    const [pictureWidth, pictureHeight] = state.trace.header.frame.picture;
    const width = frameNode.clientWidth;
    if (!width) return null;
    const margin = Math.min(24, Math.max(12, width * 0.03));
    const tallest = Math.max(260, window.innerHeight * (state.present ? 0.74 : 0.62));
    const scale = Math.min((width - 2 * margin) / pictureWidth, (tallest - 2 * margin) / pictureHeight);
    const height = pictureHeight * scale + 2 * margin;
    return { width, height, scale, left: (width - pictureWidth * scale) / 2, top: margin };
  }

  function onCanvas(box) {
    const { scale, left, top } = place;
    return {
      x: left + box.left * scale,
      y: top + box.top * scale,
      w: (box.right - box.left) * scale,
      h: (box.bottom - box.top) * scale,
    };
  }

  function drawLower() {
    const { frame } = state.trace.header;
    const pen = fitCanvas(lower, place.width, place.height);
    const whole = onCanvas({ left: 0, top: 0, right: frame.picture[0], bottom: frame.picture[1] });
    const seen = onCanvas(cropBox(frame));
    pen.clearRect(0, 0, place.width, place.height);
    pen.imageSmoothingQuality = "high";
    if (state.bitmap) pen.drawImage(state.bitmap, whole.x, whole.y, whole.w, whole.h);
    outside(pen, whole, seen);
    drawColouring(pen, seen);
    if (state.grid) drawGrid(pen, frame, seen);
  }

  /** What the model does not see. */
  function outside(pen, whole, seen) {
    pen.save();
    pen.beginPath();
    pen.rect(whole.x, whole.y, whole.w, whole.h);
    pen.rect(seen.x, seen.y, seen.w, seen.h);
    pen.clip("evenodd");
    pen.globalAlpha = 0.72;
    pen.fillStyle = app.neutral("panel");
    pen.fillRect(whole.x, whole.y, whole.w, whole.h);
    pen.globalAlpha = 0.55;
    pen.fillStyle = hatchPattern(pen, app.neutral("muted"));
    pen.fillRect(whole.x, whole.y, whole.w, whole.h);
    pen.restore();
  }

  function drawColouring(pen, seen) {
    const { block, colouring } = state;
    if (colouring === "none" || !isAvailable(colouring, block)) return;
    const token = app.tokenIndex(app.similarityToken());
    const map = colourBlock(block, colouring, { token, group: state.group, scope: state.scope }, scales);
    // The last row and column of cells may reach beyond the model's input.
    const width = (seen.w * block.cols * block.stride) / state.trace.header.frame.size[0];
    const height = (seen.h * block.rows * block.stride) / state.trace.header.frame.size[1];
    pen.save();
    pen.beginPath();
    pen.rect(seen.x, seen.y, seen.w, seen.h);
    pen.clip();
    pen.imageSmoothingEnabled = false;
    pen.globalAlpha = state.opacity;
    pen.drawImage(pixelCanvas(map.width, map.height, map.rgba, small), seen.x, seen.y, width, height);
    pen.restore();
    app.showLegend(map.legend);
  }

  function drawGrid(pen, frame, seen) {
    const { block } = state;
    const stepX = (block.stride * seen.w) / frame.size[0];
    const stepY = (block.stride * seen.h) / frame.size[1];
    pen.beginPath();
    for (let col = 1; col < block.cols; col++) line(pen, seen.x + col * stepX, seen.y, 0, seen.h);
    for (let row = 1; row < block.rows; row++) line(pen, seen.x, seen.y + row * stepY, seen.w, 0);
    pen.save();
    pen.lineWidth = 1;
    pen.globalAlpha = 0.4;
    pen.strokeStyle = theme.shade;
    pen.stroke();
    pen.globalAlpha = 0.55;
    pen.setLineDash([2, 2]);
    pen.strokeStyle = theme.chalk;
    pen.stroke();
    pen.restore();
  }

  function line(pen, x, y, dx, dy) {
    pen.moveTo(x, y);
    pen.lineTo(x + dx, y + dy);
  }

  function drawUpper() {
    const { block, token } = state;
    const { frame } = state.trace.header;
    const pen = fitCanvas(upper, place.width, place.height);
    pen.clearRect(0, 0, place.width, place.height);
    const seen = onCanvas(cropBox(frame));
    if (block.attention) spotlight(pen, seen);
    else if (block.kernelSmall || block.kind === "none") drawWindows(pen, seen);
    else everything(pen, seen);
    const cell = onCanvas(tokenToBox(frame, token, block));
    pen.strokeStyle = theme.chalk;
    pen.lineWidth = 1.25;
    pen.strokeRect(cell.x, cell.y, cell.w, cell.h);
    drawPointer(pen);
    drawPins(pen);
  }

  /** The windows of perception and aggregation; whichever is larger stays light. */
  function drawWindows(pen, seen) {
    const { block, token } = state;
    const around = (side) => onCanvas(windowToBox(state.trace.header.frame, token, block, side));
    const mixed = block.kernelSmall || 1; // without mixing, the token itself
    const widest = around(Math.max(block.kernelLarge, mixed));
    if (!isOneForAll(block)) shade(pen, seen, widest);
    padding(pen, seen, widest);
    if (isOneForAll(block)) outline(pen, seen, theme.perception, 2.5);
    if (block.kernelLarge) {
      const large = around(block.kernelLarge);
      outline(pen, large, theme.perception, 2.5);
      tag(pen, large, `${block.kernelLarge}×${block.kernelLarge}`, theme.perception);
    }
    outline(pen, around(mixed), theme.aggregation, 2);
  }

  /** The same tokens perceived and aggregated. */
  function everything(pen, { x, y, w, h }) {
    outline(pen, { x, y, w, h }, theme.perception, 2.5);
    outline(pen, { x: x + 4, y: y + 4, w: w - 8, h: h - 8 }, theme.aggregation, 2);
  }

  /** Darken what the model sees, except for a window. */
  function shade(pen, seen, { x, y, w, h }) {
    const [left, top] = [Math.max(x, seen.x), Math.max(y, seen.y)];
    const [right, bottom] = [Math.min(x + w, seen.x + seen.w), Math.min(y + h, seen.y + seen.h)];
    // A colouring must stay readable beyond the window.
    const coloured = state.colouring !== "none" && isAvailable(state.colouring, state.block);
    pen.fillStyle = theme.shade;
    pen.globalAlpha = coloured ? theme.shadeOpacity / 4 : theme.shadeOpacity;
    pen.fillRect(seen.x, seen.y, seen.w, top - seen.y);
    pen.fillRect(seen.x, bottom, seen.w, seen.y + seen.h - bottom);
    pen.fillRect(seen.x, top, left - seen.x, bottom - top);
    pen.fillRect(right, top, seen.x + seen.w - right, bottom - top);
    pen.globalAlpha = 1;
  }

  /** The part of a window where the model reads zeros. */
  function padding(pen, seen, { x, y, w, h }) {
    const right = seen.x + seen.w;
    const bottom = seen.y + seen.h;
    const strips = [
      [x, y, w, seen.y - y],
      [x, bottom, w, y + h - bottom],
      [x, Math.max(y, seen.y), seen.x - x, Math.min(y + h, bottom) - Math.max(y, seen.y)],
      [right, Math.max(y, seen.y), x + w - right, Math.min(y + h, bottom) - Math.max(y, seen.y)],
    ].filter(([, , width, height]) => width > 0.5 && height > 0.5);
    if (!strips.length) return;
    noughts ??= noughtPattern(pen, app.neutral("muted"), theme.font);
    pen.globalAlpha = 0.6;
    pen.fillStyle = app.neutral("paper");
    for (const strip of strips) pen.fillRect(...strip);
    pen.globalAlpha = 1;
    pen.fillStyle = noughts;
    for (const strip of strips) pen.fillRect(...strip);
  }

  /** Attention as light: the more weight a token has, the less it is shaded. */
  function spotlight(pen, seen) {
    const { block } = state;
    const row = block.attentionRow(app.tokenIndex(state.token), state.head);
    const most = Math.max(...row);
    pen.save();
    pen.beginPath();
    pen.rect(seen.x, seen.y, seen.w, seen.h);
    pen.clip();
    const { frame } = state.trace.header;
    pen.fillStyle = theme.shade;
    for (let t = 0; t < block.tokens; t++) {
      const token = { row: Math.floor(t / block.cols), col: t % block.cols };
      const cell = onCanvas(tokenToBox(frame, token, block));
      pen.globalAlpha = 0.78 * (1 - row[t] / most);
      pen.fillRect(cell.x, cell.y, cell.w, cell.h);
    }
    pen.restore();
    everything(pen, onCanvas(reached(row, block, frame)));
  }

  /** The cells of all tokens that have weight, in picture pixels. */
  function reached(row, block, frame) {
    const weighed = Array.from(row.keys()).filter((t) => row[t] > 0);
    const [rows, cols] = [weighed.map((t) => Math.floor(t / block.cols)), weighed.map((t) => t % block.cols)];
    const first = tokenToBox(frame, { row: Math.min(...rows), col: Math.min(...cols) }, block);
    const last = tokenToBox(frame, { row: Math.max(...rows), col: Math.max(...cols) }, block);
    return { left: first.left, top: first.top, right: last.right, bottom: last.bottom };
  }

  function outline(pen, { x, y, w, h }, colour, width) {
    pen.lineJoin = "round";
    pen.strokeStyle = theme.chalk;
    pen.lineWidth = width + 2;
    pen.strokeRect(x, y, w, h);
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.strokeRect(x, y, w, h);
  }

  function tag(pen, box, text, colour) {
    setFont(pen, `600 11px ${theme.font}`);
    if (!tagWidths.has(text)) tagWidths.set(text, pen.measureText(text).width + 10);
    const width = tagWidths.get(text);
    const x = Math.min(Math.max(box.x, 2), place.width - width - 2);
    const y = Math.min(Math.max(box.y - 17, 1), place.height - 18);
    pen.fillStyle = colour;
    pen.fillRect(x, y, width, 17);
    pen.fillStyle = theme.ink;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(text, x + 5, y + 9);
  }

  function drawPointer(pen) {
    const { x, y } = pointOnCanvas(state.pixel);
    disc(pen, x, y, 4, theme.chalk, theme.shade);
  }

  function drawPins(pen) {
    state.pins.forEach((pin, i) => {
      const name = "AB"[i];
      const { x, y } = pointOnCanvas(pin);
      disc(pen, x, y, 9, theme.pins[name], theme.chalk);
      pen.fillStyle = inkOn(channelsOf(theme.pins[name]), theme);
      setFont(pen, `700 11px ${theme.font}`);
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText(name, x, y + 0.5);
    });
  }

  function disc(pen, x, y, radius, fill, rim) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = fill;
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = rim;
    pen.stroke();
  }

  function pointOnCanvas(pixel) {
    return { x: place.left + (pixel.x + 0.5) * place.scale, y: place.top + (pixel.y + 0.5) * place.scale };
  }

  return {
    canvases: [lower, upper],
    draw(changed) {
      if (any(changed, "trace", "size", "present") || !place) place = measure();
      if (!place) return; // hidden
      if (changed.has("theme") || changed.has("size")) noughts = null;
      const followsPointer = state.colouring === "similarity" && !state.pins.length;
      const followsGroup = state.colouring === "glyphs" || state.scope === "group";
      const lowerChanged =
        any(changed, ...LOWER) ||
        (followsPointer && changed.has("token")) ||
        (followsGroup && changed.has("group")) ||
        (state.colouring === "similarity" && changed.has("pins"));
      if (lowerChanged) drawLower();
      if (any(changed, ...UPPER)) drawUpper();
    },
    /** The picture pixel under a pointer event, moved to what the model sees. */
    pixelOf(event) {
      if (!place) return state.pixel;
      const bounds = upper.getBoundingClientRect();
      const x = (event.clientX - bounds.left - place.left) / place.scale;
      const y = (event.clientY - bounds.top - place.top) / place.scale;
      return clampToCrop(state.trace.header.frame, x, y);
    },
    /** Where a picture pixel is in the window, for tests and tours. */
    clientOf(pixel) {
      const bounds = upper.getBoundingClientRect();
      const { x, y } = pointOnCanvas(pixel);
      return { x: bounds.left + x, y: bounds.top + y };
    },
  };
}
