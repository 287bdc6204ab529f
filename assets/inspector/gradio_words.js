import { listenToUploads, makeUploads } from "./uploads.js";

// What Gradio says of its own accord, in English and in places of its own: said here in the visitor's language.

const PLACE = /queue:\s*(\d+)\/(\d+)/;
const PATIENCE = 400; // milliseconds that work may take without a word
const TOASTS = [
  [/queue is full/i, "queue.full"],
  [/connection (to the server was lost|errored out)/i, "connection.lost"],
  [/exceeds? the maximum allowed size/i, "file.large"],
  [/invalid file type/i, "file.type"],
];

/** What Gradio's progress text tells: which text to show, and what to fill in. */
export function readProgress(text) {
  const [, place, size] = PLACE.exec(text) ?? [];
  if (place) return { key: "queue.place", values: { place: Number(place), size: Number(size) } };
  return { key: "queue.turn", values: {} };
}

/** Key of the text that stands for one of Gradio's messages; null for another one. */
export function readToast(text) {
  return TOASTS.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

/** Keep reading what Gradio says, for as long as the page is open. Without Gradio around, there is nothing to read. */
export function translateGradio(app) {
  const { root, texts } = app;
  const tracker = root.closest(".block")?.querySelector('[data-testid="status-tracker"]');
  const toasts = document.querySelector(".toast-wrap");
  const line = app.part("waiting");
  const uploads = makeUploads(tellPlace, PATIENCE);
  let since = null; // when the wait began

  function tellPlace() {
    const waits = tracker && !tracker.classList.contains("hide");
    since = waits ? (since ?? performance.now()) : null;
    const told = waits ? readProgress(tracker.textContent) : null;
    // A turn that comes and goes at once needs no words; Gradio counts tenths of a second, so this is asked again.
    const long = waits && (told.key === "queue.place" || !line.hidden || performance.now() - since > PATIENCE);
    const underway = uploads.takesLong() ? texts.say("upload.underway") : "";
    const sentence = long ? texts.say(told.key, told.values) : underway;
    if (line.textContent !== sentence) line.textContent = sentence;
    line.hidden = !sentence;
  }

  function translateToasts() {
    if (toasts.querySelector('[data-testid="toast-text"]')) uploads.refused();
    for (const node of toasts.querySelectorAll('[data-testid="toast-text"]')) {
      const key = readToast(node.textContent);
      if (!key) continue;
      node.textContent = texts.say(key);
      const title = node.closest('[data-testid="toast-body"]')?.querySelector(".toast-title");
      if (title) title.textContent = texts.say(`${key}.title`);
    }
  }

  listenToUploads(uploads);
  const everything = { subtree: true, childList: true, characterData: true };
  if (tracker) new MutationObserver(tellPlace).observe(tracker, { ...everything, attributes: true });
  if (toasts) new MutationObserver(translateToasts).observe(toasts, everything);
}
