// What the kernels of a block look like over the whole picture. Everything is computed once per block and kept.

const remembered = new WeakMap();

/** Compute something about a block once. */
export function once(block, key, compute) {
  if (!remembered.has(block)) remembered.set(block, new Map());
  const known = remembered.get(block);
  if (!known.has(key)) known.set(key, compute());
  return known.get(key);
}

/** The mean kernel of every group over all tokens, (G, K·K): of all fixed kernels the one with the least squared error. */
export function meanKernels(block) {
  return once(block, "meanKernels", () => {
    const size = block.groups * block.taps;
    const sums = new Float64Array(size);
    const { kernels } = block;
    for (let i = 0, k = 0; i < kernels.length; i++) {
      sums[k] += kernels[i];
      if (++k === size) k = 0;
    }
    return Float32Array.from(sums, (sum) => sum / block.tokens);
  });
}

/**
 * Per group, the share of the kernels' sum of squares that the mean kernel accounts for, 0…1:
 * 1 − Σ|w − w̄|² / Σ|w|². One means that the kernels are the same at all tokens.
 */
export function shareExplained(block) {
  return once(block, "shareExplained", () => {
    const { kernels, groups, taps, tokens } = block;
    const means = meanKernels(block);
    const squares = new Float64Array(groups);
    for (let i = 0, k = 0, group = 0; i < kernels.length; i++) {
      squares[group] += kernels[i] * kernels[i];
      if (++k === taps) {
        k = 0;
        if (++group === groups) group = 0;
      }
    }
    return Float32Array.from(squares, (total, group) => {
      let explained = 0;
      for (let t = 0; t < taps; t++) explained += means[group * taps + t] ** 2;
      return total > 0 ? (tokens * explained) / total : 1;
    });
  });
}

/** A range ±r for all kernels of a block: r bounds `share` of the weights' magnitudes. */
export function kernelRange(block, share = 0.995) {
  return once(block, "kernelRange", () => magnitudeQuantile(block.kernels, share));
}

/** The quantile of |values|, to within 1/4096 of the largest. */
export function magnitudeQuantile(values, share) {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  if (!(largest > 0)) return 1;
  const bins = new Uint32Array(4097);
  for (let i = 0; i < values.length; i++) bins[Math.floor((Math.abs(values[i]) / largest) * 4096)]++;
  let count = 0;
  for (let bin = 0; bin < bins.length; bin++) {
    count += bins[bin];
    if (count >= share * values.length) return Math.min(1, (bin + 1) / 4096) * largest;
  }
  return largest;
}

/** Smallest and largest value. */
export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Euclidean length of every group's kernel at a token. */
export function kernelStrengths(block, token) {
  return perGroup(block, block.kernelsAt(token), (weight) => weight);
}

/** Euclidean distance of every group's kernel at a token from the group's mean kernel. */
export function kernelDistances(block, token) {
  const means = meanKernels(block);
  return perGroup(block, block.kernelsAt(token), (weight, i) => weight - means[i]);
}

function perGroup(block, kernels, of) {
  const lengths = new Float32Array(block.groups);
  for (let group = 0, i = 0; group < block.groups; group++) {
    let sum = 0;
    for (let tap = 0; tap < block.taps; tap++, i++) sum += of(kernels[i], i) ** 2;
    lengths[group] = Math.sqrt(sum);
  }
  return lengths;
}

/** Groups in the order to show them: "index", "strength" or "difference", the strongest first. */
export function sortedGroups(block, token, order) {
  const groups = Array.from({ length: block.groups }, (_, group) => group);
  if (order === "index") return groups;
  const size = order === "strength" ? kernelStrengths(block, token) : kernelDistances(block, token);
  return groups.toSorted((a, b) => size[b] - size[a] || a - b);
}

/** Cosine between two vectors of the same length; 0 where one of them is zero. */
export function cosine(a, b) {
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa > 0 && bb > 0 ? dot / Math.sqrt(aa * bb) : 0;
}

/** Per token, the cosine between its kernels (all groups, or one) and those of `token`. */
export function kernelSimilarity(block, token, group = null) {
  const at = (t) => (group === null ? block.kernelsAt(t) : block.kernelAt(t, group));
  const reference = at(token);
  const result = new Float32Array(block.tokens);
  for (let t = 0; t < block.tokens; t++) result[t] = cosine(reference, at(t));
  return result;
}

/** Per token, the distance of its kernels from the mean kernels, relative to the mean length of kernels here. */
export function dynamics(block, group = null) {
  return once(block, `dynamics ${group}`, () => {
    const { taps, groups, tokens } = block;
    const means = meanKernels(block);
    const [first, last] = group === null ? [0, groups * taps] : [group * taps, (group + 1) * taps];
    const result = new Float32Array(tokens);
    let squares = 0;
    for (let t = 0; t < tokens; t++) {
      const kernels = block.kernelsAt(t);
      let sum = 0;
      for (let i = first; i < last; i++) {
        sum += (kernels[i] - means[i]) ** 2;
        squares += kernels[i] ** 2;
      }
      result[t] = Math.sqrt(sum);
    }
    const scale = Math.sqrt(squares / tokens) || 1;
    return result.map((distance) => distance / scale);
  });
}

/**
 * Per token, where |w| has its centre of mass, in tokens from the window's centre: [x to the right, y down, …].
 * Over all groups |w| is added up first.
 */
export function displacements(block, group = null) {
  return once(block, `displacements ${group}`, () => {
    const side = Math.round(Math.sqrt(block.taps));
    const reach = side >> 1;
    const result = new Float32Array(2 * block.tokens);
    for (let t = 0; t < block.tokens; t++) {
      const kernels = group === null ? block.kernelsAt(t) : block.kernelAt(t, group);
      let total = 0;
      let x = 0;
      let y = 0;
      for (let i = 0; i < kernels.length; i++) {
        const weight = Math.abs(kernels[i]);
        const tap = i % block.taps;
        total += weight;
        x += weight * ((tap % side) - reach);
        y += weight * (Math.floor(tap / side) - reach);
      }
      result[2 * t] = total > 0 ? x / total : 0;
      result[2 * t + 1] = total > 0 ? y / total : 0;
    }
    return result;
  });
}

/**
 * Per token, (c − s) / (c + s) of the centre's |w| and the mean |w| of the surround, over all groups or one, −1…1:
 * 1 is the centre alone, 0 a flat kernel, −1 a kernel without a centre.
 */
export function centreAgainstSurround(block, group = null) {
  return once(block, `centre ${group}`, () => {
    const middle = block.taps >> 1;
    const result = new Float32Array(block.tokens);
    for (let t = 0; t < block.tokens; t++) {
      const kernels = group === null ? block.kernelsAt(t) : block.kernelAt(t, group);
      let centre = 0;
      let surround = 0;
      for (let i = 0; i < kernels.length; i++) {
        if (i % block.taps === middle) centre += Math.abs(kernels[i]);
        else surround += Math.abs(kernels[i]) / (block.taps - 1);
      }
      result[t] = centre + surround > 0 ? (centre - surround) / (centre + surround) : 0;
    }
    return result;
  });
}

/** The first three principal components of the kernels over tokens, as bytes (h, w, 3). */
export function kernelComponents(block, group = null) {
  return once(block, `components ${group}`, () => {
    const at = (t) => (group === null ? block.kernelsAt(t) : block.kernelAt(t, group));
    const size = group === null ? block.groups * block.taps : block.taps;
    return componentColours(principalScores(at, block.tokens, size, 3), block.tokens);
  });
}

/**
 * Scores (count arrays of n) of n vectors on their first principal components, by subspace iteration.
 * Each component is turned so that its largest loading is positive.
 */
export function principalScores(at, n, size, count, rounds = 16) {
  const mean = new Float64Array(size);
  for (let t = 0; t < n; t++) at(t).forEach((value, i) => (mean[i] += value / n));
  const centred = new Float32Array(n * size);
  for (let t = 0; t < n; t++) {
    const row = at(t);
    for (let i = 0; i < size; i++) centred[t * size + i] = row[i] - mean[i];
  }
  const found = Math.min(count, size);
  // A fixed, irregular start: the same picture always gets the same colours.
  let basis = Array.from({ length: found }, (_, k) =>
    Float64Array.from({ length: size }, (__, i) => Math.sin((i + 1) * (k + 1) * 12.9898 + k)),
  );
  let scores = [];
  for (let round = 0; round <= rounds; round++) {
    orthonormalise(basis);
    scores = project(centred, basis, n, size);
    if (round < rounds) basis = gather(centred, scores, n, size);
  }
  return scores.map((score, k) => {
    let largest = 0;
    for (const loading of basis[k]) if (Math.abs(loading) > Math.abs(largest)) largest = loading;
    return largest < 0 ? score.map((value) => -value) : score;
  });
}

function orthonormalise(basis) {
  basis.forEach((vector, k) => {
    for (let j = 0; j < k; j++) {
      let dot = 0;
      for (let i = 0; i < vector.length; i++) dot += vector[i] * basis[j][i];
      for (let i = 0; i < vector.length; i++) vector[i] -= dot * basis[j][i];
    }
    const length = Math.hypot(...vector) || 1;
    for (let i = 0; i < vector.length; i++) vector[i] /= length;
  });
}

function project(centred, basis, n, size) {
  return basis.map((vector) => {
    const scores = new Float64Array(n);
    for (let t = 0, j = 0; t < n; t++) {
      let sum = 0;
      for (let i = 0; i < size; i++, j++) sum += centred[j] * vector[i];
      scores[t] = sum;
    }
    return scores;
  });
}

function gather(centred, scores, n, size) {
  return scores.map((score) => {
    const vector = new Float64Array(size);
    for (let t = 0, j = 0; t < n; t++) {
      for (let i = 0; i < size; i++, j++) vector[i] += score[t] * centred[j];
    }
    return vector;
  });
}

/** Scores as bytes: each component runs from its 2nd to its 98th percentile. */
function componentColours(scores, n) {
  const colours = new Uint8Array(3 * n).fill(128);
  scores.forEach((score, k) => {
    const sorted = Float64Array.from(score).toSorted();
    const low = sorted[Math.floor(0.02 * (n - 1))];
    const high = sorted[Math.ceil(0.98 * (n - 1))];
    if (!(high - low > 1e-9)) return;
    for (let t = 0; t < n; t++) {
      colours[3 * t + k] = Math.min(255, Math.max(0, Math.round(((score[t] - low) / (high - low)) * 255)));
    }
  });
  return colours;
}
