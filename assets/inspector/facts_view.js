import { directionColour, followsGroup, isAvailable } from "./colourings.js";
import { any, fitCanvas, make } from "./drawing.js";
import { aggregationOf, isOneForAll, perceptionOf } from "./mixing.js";
import { number, percent } from "./texts.js";

// What is said around the picture: what it is, what the network took it for, what the windows and colours mean.

const WHEEL = 40; // pixels

export function makeFactsView(app) {
  const { state, texts, part } = app;

  function showFacts() {
    const { header } = state.trace;
    const own = texts.say("ownPicture");
    part("fact-picture").textContent = header.title[texts.lang] ?? header.title.en ?? own;
    const set = header.labelSet[texts.lang] ?? header.labelSet[texts.lang.slice(0, 2)] ?? header.labelSet.en;
    part("fact-classes").textContent = texts.say("classes", { set });
    part("fact-model").textContent = header.weights;
    const milliseconds = Math.round(1000 * header.seconds);
    const run = { device: header.device, ms: milliseconds, size: header.frame.size.join("×") };
    const rate = state.live ? ` · ${texts.say("live", { rate: number(state.live, 1) })}` : "";
    part("fact-run").textContent = texts.say("ran", run) + rate;
    const alt = header.alt[texts.lang] ?? header.alt.en ?? own;
    part("picture-upper").setAttribute("aria-label", `${texts.say("picture.label")} ${alt}`);
    part("top").replaceChildren(...header.topk.map(classItem));
  }

  function classItem(entry) {
    const item = make("li");
    item.style.setProperty("--share", entry.probability);
    const name = make("span", "", entry[texts.lang] || entry.en);
    item.title = name.textContent;
    item.append(name, make("b", "", percent(entry.probability)));
    return item;
  }

  function showControls() {
    const { block, colouring, group } = state;
    const available = isAvailable(colouring, block);
    const active = colouring !== "none" && available;
    part("colouring").value = colouring;
    for (const option of part("colouring").options) option.disabled = !isAvailable(option.value, block);
    part("scope-field").hidden = !active || !followsGroup(colouring);
    part("opacity-field").hidden = part("legend").hidden = !active;
    const unavailable = isOneForAll(block) ? "colouring.onePicture" : "colouring.unavailable";
    const note = active ? `colouring.${colouring}.note` : unavailable;
    part("colouring-note").textContent = active || !available ? texts.say(note, { group, side: block.side }) : "";
    showWindows(block);
    part("block-name").textContent = `${block.name} · ${texts.say(`mixer.${mixerName(block)}`)} · ${block.rows}×${block.cols}`;
  }

  /** An LS convolution may have lost one of its halves. */
  function mixerName({ mixer, kind, kernelLarge }) {
    if (mixer !== "ls") return mixer;
    return kind === "dw" ? "ls.static" : kernelLarge > 1 ? "ls" : "small";
  }

  function showWindows(block) {
    part("sees").textContent = texts.say(...perceptionOf(block));
    const aggregation = aggregationOf(block);
    part("mixes").textContent = aggregation ? texts.say(...aggregation) : "";
    part("mixes").parentElement.hidden = !aggregation;
  }

  function drawWheel(canvas) {
    const pen = fitCanvas(canvas, WHEEL, WHEEL);
    const radius = WHEEL / 2 - 0.5;
    pen.clearRect(0, 0, WHEEL, WHEEL);
    for (let y = -radius; y <= radius; y++) {
      for (let x = -radius; x <= radius; x++) {
        if (Math.hypot(x, y) > radius) continue;
        pen.fillStyle = `rgb(${directionColour(x, y, radius, app.scales).join()})`;
        pen.fillRect(x + radius, y + radius, 1, 1);
      }
    }
  }

  return {
    draw(changed) {
      if (any(changed, "trace", "lang", "live")) showFacts();
      if (any(changed, "block", "trace", "lang", "colouring", "scope", "group")) showControls();
    },
    showLegend(legend) {
      const [bar, wheel] = [part("legend-bar"), part("legend-wheel")];
      bar.hidden = legend.kind !== "bar";
      wheel.hidden = legend.kind !== "wheel";
      part("legend-low").textContent = legend.kind === "bar" ? number(legend.low, 2) : "";
      const high = {
        bar: () => number(legend.high, 2),
        wheel: () => texts.say("legend.longest", { length: number(legend.longest, 2) }),
        components: () => texts.say("legend.components"),
      };
      part("legend-high").textContent = high[legend.kind]();
      if (legend.kind === "bar") bar.style.backgroundImage = app.scales[legend.scale].gradient;
      if (legend.kind === "wheel") drawWheel(wheel);
    },
  };
}
