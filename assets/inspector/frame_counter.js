// How many frames a second a camera's pictures really come at.

const REMEMBERED = 8; // frames
const PAUSE = 4000; // milliseconds without a frame, after which counting starts anew

export function makeFrameCounter() {
  let times = [];
  return {
    /** @returns {number} frames a second over the latest frames, 0 for the first one */
    rate(now) {
      if (times.length && now - times.at(-1) > PAUSE) times = [];
      times = [...times, now].slice(-REMEMBERED);
      const span = now - times[0];
      return span > 0 ? (1000 * (times.length - 1)) / span : 0;
    },
  };
}
