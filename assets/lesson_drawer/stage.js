import { keepInSight } from "./sight.js";

// The page beside the drawer: it makes room, shows what a step is about, and is projected.

const presentButton = () => document.querySelector('#inspector [data-part="present"]');

/** Whether the inspector fills the screen. */
export function isPresenting() {
  return presentButton()?.getAttribute("aria-pressed") === "true";
}

/** What the inspector's own button does: only a hand may ask for the whole screen, and this is one. */
export function switchPresenting() {
  presentButton()?.click();
}

export function makeRoom(open, folded) {
  document.body.classList.toggle("lessons-open", open);
  document.body.classList.toggle("lessons-folded", open && folded);
  fitFigures();
}

/** Bring a part of the page into sight, one of LOOKS in viz/lesson_file.py; a figure that is projected fills the screen. */
export function lookAt(look) {
  const projected = isPresenting();
  document.body.classList.toggle("lessons-figure", projected && look === "figure");
  if (projected) fitFigures();
  keepInSight(look, projected);
}

/** Figures ask for their width when the window changes. */
function fitFigures() {
  requestAnimationFrame(() => window.dispatchEvent(new Event("resize")));
}
