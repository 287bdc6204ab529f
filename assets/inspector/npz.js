// Arrays as a NumPy .npz file: a zip without compression that holds .npy files.

/** @param {Object<string, {shape: number[], values: Float32Array}>} arrays @returns {Uint8Array} */
export function npzFile(arrays) {
  const files = Object.entries(arrays).map(([name, array]) => ({ name: `${name}.npy`, bytes: npyBytes(array) }));
  return zipStored(files);
}

function npyBytes({ shape, values }) {
  const size = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  let header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${size}, }`;
  header += " ".repeat((64 - ((11 + header.length) % 64)) % 64) + "\n";
  const bytes = new Uint8Array(10 + header.length + 4 * values.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 10 + header.length);
  return bytes;
}

function zipStored(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, bytes } of files) {
    const encoded = new TextEncoder().encode(name);
    const checksum = crc32(bytes);
    // Version, flags, method, time, date (1 January 1980), checksum, sizes, name length, extra length.
    const sizes = [[checksum, 4], [bytes.length, 4], [bytes.length, 4], [encoded.length, 2], [0, 2]];
    const shared = [[20, 2], [0, 2], [0, 2], [0, 2], [33, 2], ...sizes];
    parts.push(fields([[0x04034b50, 4], ...shared]), encoded, bytes);
    directory.push(fields([[0x02014b50, 4], [20, 2], ...shared, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]), encoded);
    offset += 30 + encoded.length + bytes.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  const end = fields([[0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2], [length, 4], [offset, 4], [0, 2]]);
  return joinBytes([...parts, ...directory, end]);
}

function fields(values) {
  const bytes = new Uint8Array(values.reduce((sum, [, width]) => sum + width, 0));
  let at = 0;
  for (const [value, width] of values) for (let i = 0; i < width; i++) bytes[at++] = (value >>> (8 * i)) & 255;
  return bytes;
}

function joinBytes(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ -1) >>> 0;
}
