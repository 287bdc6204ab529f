// What the visitor looks at. Views are told what changed, once per frame.

/**
 * @param {object} values the first values
 * @param {(changed: Set<string>) => void} draw called in the next animation frame with the keys that changed
 */
export function makeState(values, draw) {
  let changed = new Set();
  let frame = 0;
  const state = {
    ...values,
    /** Set values; only those that differ count as changed. */
    set(patch) {
      for (const [key, value] of Object.entries(patch)) {
        if (Object.is(state[key], value)) continue;
        state[key] = value;
        changed.add(key);
      }
      if (changed.size && !frame) frame = requestAnimationFrame(state.flush);
    },
    /** Draw again although the value is the same: it has been changed inside, or what is around it has. */
    touch(...keys) {
      keys.forEach((key) => changed.add(key));
      if (!frame) frame = requestAnimationFrame(state.flush);
    },
    flush() {
      cancelAnimationFrame(frame);
      frame = 0;
      const now = changed;
      changed = new Set();
      if (now.size) draw(now);
    },
  };
  return state;
}

/** What an inspector begins with, before it has a picture. */
export function firstState(opacity) {
  return {
    trace: null,
    bitmap: null,
    block: null,
    pixel: { x: 0, y: 0 },
    token: { row: 0, col: 0 },
    group: 0,
    slot: 0,
    head: null,
    live: null, // frames a second while a camera is followed
    pins: [],
    order: "index",
    colouring: "none",
    scope: "all",
    opacity, // of a colouring, 0…1
    grid: false,
    lang: "en",
    theme: "light",
    size: 0,
    present: false,
    taken: false,
    drawMs: 0,
    pointedBy: "pointer", // or "keyboard", or "dot"
  };
}
