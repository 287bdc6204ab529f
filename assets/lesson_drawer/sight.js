// Where the page scrolls to, so that what a step is about is in sight.

const MARGIN = 8; // CSS pixels between what is looked at and the edge
const ENOUGH = 2 / 3; // of the visible height: a taller figure starts there, below the controls that it was made with
const KEEP_MS = 12000; // in which figures and pictures above may still come and push away what is looked at
const LOOK_AGAIN_MS = 200;
const HANDS = ["wheel", "touchstart", "pointerdown", "keydown"];

const inInspector = (name) => document.querySelector(`#inspector [data-part="${name}"]`);
const views = () => document.querySelector("#views");

// Found anew each time, since tabs and figures come and go.
const TARGETS = {
  picture: () => inInspector("picture-frame"),
  kernels: () => inInspector("wall-panel"),
  equation: () => inInspector("equation"),
  ways: () => inInspector("ways"),
  figure: () => [...document.querySelectorAll("#views .js-plotly-plot")].find((plot) => plot.offsetParent) ?? views(),
};

/**
 * How far down to scroll: as little as shows the target, so that what leads to it stays in sight where both fit.
 *
 * @param lead, target: where they begin, in pixels from the start of what scrolls.
 * @param height: of the target, or as much of it as must be seen.
 * @param visible: height of what is seen at a time.
 */
export function scrollFor({ lead, target, height, visible }) {
  const least = target + Math.min(height, visible - 2 * MARGIN) + MARGIN - visible;
  return Math.round(Math.max(0, lead - MARGIN, Math.min(least, target - MARGIN)));
}

let letGo = () => {};

/** Bring a part of the page into sight, and again while the page is still growing, until the visitor does anything. */
export function keepInSight(look, presenting) {
  letGo();
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  let wanted = null;
  let last = null; // where it was when looked at before: a smooth way may end early, when the page changes meanwhile
  let arrived = false; // from then on, whoever scrolls away means it
  const scroll = () => {
    const top = wantedTop(look, presenting);
    if (top === null) return;
    const scroller = scrollerOf(look, presenting);
    const at = scroller.scrollTop;
    const moved = wanted === null || Math.abs(top - wanted) >= 2;
    arrived = !moved && (arrived || Math.abs(at - top) < 2);
    const astray = !arrived && at === last;
    last = at;
    if (!moved && !astray) return;
    scroller.scrollTo({ top, behavior: wanted === null && !calm ? "smooth" : "auto" });
    wanted = top;
  };
  const again = setInterval(scroll, LOOK_AGAIN_MS);
  const enough = setTimeout(() => letGo(), KEEP_MS);
  letGo = () => {
    clearInterval(again);
    clearTimeout(enough);
    for (const kind of HANDS) window.removeEventListener(kind, letGo, true);
    letGo = () => {};
  };
  for (const kind of HANDS) window.addEventListener(kind, letGo, true);
  scroll();
}

/** What scrolls: the page, or what is projected instead of it. */
function scrollerOf(look, presenting) {
  if (!presenting) return document.scrollingElement;
  return look === "figure" ? views() : document.querySelector(".lsx-presenting");
}

function wantedTop(look, presenting) {
  const [scroller, target] = [scrollerOf(look, presenting), TARGETS[look]()];
  const lead = look === "figure" ? views()?.firstElementChild : inInspector("ribbon");
  if (!scroller || !target || !lead) return null;
  const { top, height } = target.getBoundingClientRect();
  const start = (presenting ? scroller.getBoundingClientRect().top : 0) - scroller.scrollTop;
  const visible = presenting ? scroller.clientHeight : heightAboveTheSheet();
  return scrollFor({
    lead: lead.getBoundingClientRect().top - start,
    target: top - start,
    height: look === "figure" ? Math.min(height, ENOUGH * visible) : height,
    visible,
  });
}

/** On a phone, the lesson is a sheet over the lower part of the page. */
function heightAboveTheSheet() {
  const { top } = document.querySelector("#lesson-drawer").getBoundingClientRect();
  return top > 0 ? top : window.innerHeight;
}
