// Picture pixel ↔ model pixel ↔ token; the same arithmetic as viz/images.py, whose tests it shares.
// `frame` is {picture: [w, h], resized: [w, h], left, top, size: [w, h]}; a block has stride, rows and cols.

export function modelToPicture(frame, x, y) {
  return [
    ((x + frame.left) * frame.picture[0]) / frame.resized[0],
    ((y + frame.top) * frame.picture[1]) / frame.resized[1],
  ];
}

function modelBox(frame, left, top, right, bottom) {
  const [x0, y0] = modelToPicture(frame, left, top);
  const [x1, y1] = modelToPicture(frame, right, bottom);
  return { left: x0, top: y0, right: x1, bottom: y1 };
}

/** The part of the picture that the model sees, in picture pixels. */
export function cropBox(frame) {
  return modelBox(frame, 0, 0, frame.size[0], frame.size[1]);
}

/** The token that owns the centre of a picture pixel; null where the pixel was cropped away. In exact integers. */
export function pixelToToken(frame, x, y, block) {
  const col = cellOf(frame, x, 0, block.stride);
  const row = cellOf(frame, y, 1, block.stride);
  return row === null || col === null ? null : { row, col };
}

function cellOf(frame, pixel, axis, stride) {
  const picture = frame.picture[axis];
  const start = axis === 0 ? frame.left : frame.top;
  const centre = (2 * pixel + 1) * frame.resized[axis] - 2 * picture * start;
  if (centre < 0 || centre >= 2 * picture * frame.size[axis]) return null;
  return Math.floor(centre / (2 * picture * stride));
}

/** A token's cell in picture pixels, cut at the edge of the model's input. */
export function tokenToBox(frame, { row, col }, block) {
  const { stride } = block;
  const right = Math.min(stride * (col + 1), frame.size[0]);
  const bottom = Math.min(stride * (row + 1), frame.size[1]);
  return modelBox(frame, stride * col, stride * row, right, bottom);
}

/** The cells of the size × size tokens around a token, never cut: outside of the crop box it reads zeros. */
export function windowToBox(frame, { row, col }, block, size) {
  const { stride } = block;
  const left = stride * (col - (size >> 1));
  const top = stride * (row - (size >> 1));
  return modelBox(frame, left, top, left + stride * size, top + stride * size);
}

/** The picture pixel at the centre of a token's cell. */
export function tokenToPixel(frame, token, block) {
  const box = tokenToBox(frame, token, block);
  return { x: Math.floor((box.left + box.right) / 2), y: Math.floor((box.top + box.bottom) / 2) };
}

/** The nearest pixel that the model sees. */
export function clampToCrop(frame, x, y) {
  const clamp = (pixel, axis, low, high) => {
    let p = Math.min(Math.max(Math.floor(pixel), Math.ceil(low - 0.5)), Math.ceil(high - 0.5) - 1);
    p = Math.min(Math.max(p, 0), frame.picture[axis] - 1);
    return p;
  };
  const box = cropBox(frame);
  return { x: clamp(x, 0, box.left, box.right), y: clamp(y, 1, box.top, box.bottom) };
}

/** Whether a tap of the small window around a token lies on the grid; outside of it the model reads zero. */
export function tapPosition({ row, col }, tap, side, block) {
  const reach = side >> 1;
  const r = row + Math.floor(tap / side) - reach;
  const c = col + (tap % side) - reach;
  return { row: r, col: c, inside: r >= 0 && c >= 0 && r < block.rows && c < block.cols };
}
