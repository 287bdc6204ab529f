// Reads the binary that viz/payload.py writes; its docstring describes the layout.

const PAYLOAD_VERSION = 1;
const PREFIX_BYTES = 16;

/**
 * @param {ArrayBuffer} buffer a whole payload
 * @returns {{header: object, blocks: Block[], picture: Blob}}
 * @throws {Error} where the buffer is not a complete payload of this version
 */
export function readPayload(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < PREFIX_BYTES || view.getUint32(0, false) !== 0x4c534e58) {
    throw new Error("expected a payload that starts with LSNX");
  }
  const version = view.getUint32(4, true);
  if (version !== PAYLOAD_VERSION) {
    throw new Error(`expected payload version ${PAYLOAD_VERSION}, got ${version}`);
  }
  const headerBytes = view.getUint32(8, true);
  const totalBytes = view.getUint32(12, true);
  if (totalBytes !== buffer.byteLength) {
    throw new Error(`expected ${totalBytes} bytes, got ${buffer.byteLength}`);
  }
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, PREFIX_BYTES, headerBytes)));
  const start = PREFIX_BYTES + headerBytes;
  const blocks = header.blocks.map((entry, index) => new Block(buffer, start, entry, index));
  const picture = new Blob([readArray(buffer, start, header.picture)], { type: header.picture.mime });
  return { header, blocks, picture };
}

/** A typed array of what the header describes; f24 is widened to float32. */
export function readArray(buffer, start, { dtype, shape, offset }) {
  const count = shape.reduce((product, side) => product * side, 1);
  if (dtype === "f32") return new Float32Array(buffer, start + offset, count);
  if (dtype === "u8") return new Uint8Array(buffer, start + offset, count);
  if (dtype === "f24") return widen(new Uint8Array(buffer, start + offset, 3 * count));
  throw new Error(`expected dtype f32, f24 or u8, got ${dtype}`);
}

function widen(bytes) {
  const count = bytes.length / 3;
  const bits = new Uint32Array(count);
  for (let i = 0, j = 0; i < count; i++, j += 3) {
    bits[i] = (bytes[j] << 8) | (bytes[j + 1] << 16) | (bytes[j + 2] << 24);
  }
  return new Float32Array(bits.buffer);
}

/** One block; arrays are decoded when first asked for. `rows`, `cols` are its grid. */
export class Block {
  constructor(buffer, start, entry, index) {
    const { name, kind, mixer, stage, stride, grid, kernelLarge, kernelSmall, dim, channels, seen } = entry;
    Object.assign(this, { index, name, kind, mixer, stage, stride, kernelLarge, kernelSmall, dim, seen });
    [this.rows, this.cols] = grid;
    this.tokens = this.rows * this.cols;
    this.channels = channels ?? [];
    this.groups = entry.kernels ? entry.kernels.shape[2] : 0;
    this.taps = entry.kernels ? entry.kernels.shape[3] : 0;
    this.side = Math.round(Math.sqrt(this.taps)); // of a kernel
    this.heads = entry.attention ? entry.attention.shape[0] : 0;
    this.read = (key) => (entry[key] ? readArray(buffer, start, entry[key]) : null);
    this.decoded = new Map();
  }

  array(key) {
    if (!this.decoded.has(key)) this.decoded.set(key, this.read(key));
    return this.decoded.get(key);
  }

  /** (h, w, G, K·K), flat; those of the picture, sent once, repeated for every token. */
  get kernels() {
    if (!this.decoded.has("kernels")) this.decoded.set("kernels", this.repeated(this.read("kernels")));
    return this.decoded.get("kernels");
  }

  repeated(kernels) {
    const size = this.groups * this.taps;
    if (kernels === null || kernels.length === this.tokens * size) return kernels;
    const all = new Float32Array(this.tokens * size);
    for (let t = 0; t < this.tokens; t++) all.set(kernels, t * size);
    return all;
  }

  /** (M, h, w), flat, of the channels in `channels`. */
  get inputs() {
    return this.array("inputs");
  }

  get aggregated() {
    return this.array("aggregated");
  }

  /** (heads, N, N), flat. */
  get attention() {
    return this.array("attention");
  }

  /** (h, w), flat. */
  get mean() {
    return this.array("mean");
  }

  /** (h, w, 3) bytes, flat. */
  get colours() {
    return this.array("colours");
  }

  /** All kernels of a token, (G, K·K), as a view. */
  kernelsAt(token) {
    const size = this.groups * this.taps;
    return this.kernels.subarray(token * size, (token + 1) * size);
  }

  /** The kernel of one group at a token, (K·K), as a view. */
  kernelAt(token, group) {
    const begin = (token * this.groups + group) * this.taps;
    return this.kernels.subarray(begin, begin + this.taps);
  }

  /** How a token weighs all tokens: one head's row, or their mean where `head` is null. */
  attentionRow(token, head = null) {
    const n = this.tokens;
    if (head !== null) return this.attention.subarray((head * n + token) * n, (head * n + token + 1) * n);
    const row = new Float32Array(n);
    for (let h = 0; h < this.heads; h++) {
      const begin = (h * n + token) * n;
      for (let i = 0; i < n; i++) row[i] += this.attention[begin + i] / this.heads;
    }
    return row;
  }
}
