import { setText } from "./drawing.js";
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
  const everything = { subtree: true, childList: true, characterData: true };
  let heard = null; // the piece of the page that holds a problem
  let since = null; // when the wait began

  function tellPlace() {
    const waits = !tracker.classList.contains("hide") && !tracker.querySelector(".error");
    since = waits ? (since ?? performance.now()) : null;
    const told = waits ? readProgress(tracker.textContent) : null;
    // A turn that comes and goes at once needs no words; Gradio counts tenths of a second, so this is asked again.
    const long = waits && (told.key === "queue.place" || !line.hidden || performance.now() - since > PATIENCE);
    const underway = uploads.takesLong() ? texts.say("upload.underway") : "";
    const sentence = long ? texts.say(told.key, told.values) : underway;
    setText(line, sentence);
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

  /** What was wrong with a visitor's wish comes as a new piece of the page, which a screen reader would pass over. */
  function tellProblem() {
    const problem = document.querySelector("#problem");
    if (problem && problem !== heard) new MutationObserver(tellProblem).observe(problem, everything);
    heard = problem;
    setText(app.part("alert"), problem?.textContent.trim() ?? "");
  }

  /** The bundled photos by their names, where Gradio counts thumbnails. */
  function nameExamples(gallery) {
    for (const image of gallery.querySelectorAll("button img[alt]")) {
      const button = image.closest("button");
      if (button.getAttribute("aria-label") !== image.alt) button.setAttribute("aria-label", image.alt);
    }
  }

  if (!tracker) return;
  listenToUploads(uploads);
  whenThere("#inputs", (row) => new MutationObserver(tellProblem).observe(row.parentElement, { childList: true }));
  whenThere("#examples", (gallery) => {
    const names = { subtree: true, childList: true, attributeFilter: ["alt", "aria-label"] };
    new MutationObserver(() => nameExamples(gallery)).observe(gallery, names);
    nameExamples(gallery);
  });
  new MutationObserver(tellPlace).observe(tracker, { ...everything, attributes: true });
  if (toasts) new MutationObserver(translateToasts).observe(toasts, everything);
}

/** Do something with a piece of the page, as soon as Gradio has made it. */
function whenThere(selector, then) {
  const found = document.querySelector(selector);
  if (found) {
    then(found);
    return;
  }
  const observer = new MutationObserver(() => {
    if (!document.querySelector(selector)) return;
    observer.disconnect();
    then(document.querySelector(selector));
  });
  observer.observe(document.body, { childList: true, subtree: true });
}
