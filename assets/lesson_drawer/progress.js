// What this browser remembers of its visitor: which steps were seen, and that the tour was offered.

const SEEN = "lsnet-explorer.steps-seen";
const TOUR = "lsnet-explorer.tour";

/** @param {Storage | null} storage null, or one that refuses, where a browser keeps nothing: then until the page closes */
export function makeProgress(storage) {
  const kept = new Map();
  const read = (key) => {
    try {
      return storage?.getItem(key) ?? kept.get(key) ?? null;
    } catch {
      return kept.get(key) ?? null;
    }
  };
  const write = (key, value) => {
    kept.set(key, value);
    try {
      storage?.setItem(key, value);
    } catch {
      // full or forbidden
    }
  };
  const all = () => {
    try {
      const found = JSON.parse(read(SEEN) ?? "[]");
      return new Set(Array.isArray(found) ? found : []);
    } catch {
      return new Set();
    }
  };
  return {
    /** Names of a lesson's steps that were seen. */
    seen: (lesson) => new Set(lesson.steps.map(({ name }) => name).filter((name) => all().has(`${lesson.slug}/${name}`))),
    see: (lesson, step) => write(SEEN, JSON.stringify([...all().add(`${lesson.slug}/${step.name}`)])),
    clear: () => write(SEEN, "[]"),
    tourWasOffered: () => read(TOUR) !== null,
    rememberTour: () => write(TOUR, "offered"),
  };
}
