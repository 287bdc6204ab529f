// Until the visitor takes over, the pointer travels over the picture by itself, from one place of interest to the next.

const REST = 1500; // milliseconds at each place
const TRAVEL = 1400; // milliseconds from place to place

/** Where the dot is after `time` ms on its round through `places` ([x, y] each), with soft starts and stops. */
export function dotAt(places, time) {
  const leg = REST + TRAVEL;
  const step = Math.floor(time / leg);
  const [x0, y0] = places[step % places.length];
  const [x1, y1] = places[(step + 1) % places.length];
  const t = Math.max(0, (time - step * leg - REST) / TRAVEL);
  const s = t * t * (3 - 2 * t);
  return { x: x0 + (x1 - x0) * s, y: y0 + (y1 - y0) * s };
}

/** Start travelling. Returns a function that ends it. Who asked for less motion sees the dot jump. */
export function startTravelling(places, move) {
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const start = performance.now();
  let frame = 0;
  const step = (now) => {
    const time = Math.max(0, now - start);
    move(dotAt(places, calm ? time - (time % (REST + TRAVEL)) : time));
    frame = requestAnimationFrame(step);
  };
  frame = requestAnimationFrame(step);
  return () => cancelAnimationFrame(frame);
}
