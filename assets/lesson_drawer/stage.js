// The page beside the drawer: it makes room, scrolls to what a step is about, and is projected.

const KEEP_MS = 5000; // in which figures and pictures above may still come and push what is looked at away

const picture = () => document.querySelector("#inspector [data-part=ribbon]");
const figure = () => document.querySelector("#views");
const presentButton = () => document.querySelector('#inspector [data-part="present"]');

let letGo = () => {};

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

/** Bring the "picture" or the "figure" into view; projected, it fills the screen. */
export function lookAt(place) {
  const projected = isPresenting();
  document.body.classList.toggle("lessons-figure", projected && place === "figure");
  if (projected) fitFigures();
  else keepInView(place === "figure" ? figure() : picture());
}

/** Scroll to a part of the page, and again while the page is still growing, until the visitor does anything. */
function keepInView(node) {
  letGo();
  if (!node) return;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  node.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  let first = true; // an observer tells the present size at once
  const observer = new ResizeObserver(() => {
    if (!first) node.scrollIntoView({ block: "start" });
    first = false;
  });
  observer.observe(document.querySelector(".gradio-container"));
  const hands = ["wheel", "touchstart", "pointerdown", "keydown"];
  const timer = setTimeout(() => letGo(), KEEP_MS);
  letGo = () => {
    clearTimeout(timer);
    observer.disconnect();
    for (const kind of hands) window.removeEventListener(kind, letGo, true);
    letGo = () => {};
  };
  for (const kind of hands) window.addEventListener(kind, letGo, true);
}

/** Figures ask for their width when the window changes. */
function fitFigures() {
  requestAnimationFrame(() => window.dispatchEvent(new Event("resize")));
}
