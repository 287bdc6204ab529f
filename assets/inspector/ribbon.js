import { any, fitCanvas, make, pixelCanvas } from "./drawing.js";
import { channelsOf, inkOn, tableIndex } from "./scales.js";
import { magnitudeQuantile } from "./statistics.js";

// Every block of the network in order, by stage. A click moves everything to that block.

const THUMB = 30;

export function makeRibbon(app) {
  const { state, texts, theme, scales } = app;
  const root = app.part("ribbon");
  let tiles = [];

  function build() {
    tiles = [];
    root.replaceChildren();
    for (const stage of new Set(state.trace.blocks.map((block) => block.stage))) {
      const blocks = state.trace.blocks.filter((block) => block.stage === stage);
      const group = make("div", "lsx-stage");
      group.style.setProperty("--stage", theme.stages[(stage - 1) % theme.stages.length]);
      const { rows, cols, stride } = blocks[0];
      const label = make("div", "lsx-stage-label");
      label.append(make("b", "", texts.say("stage", { stage })), make("span", "", `${rows}×${cols}`));
      label.title = texts.say("stage.tip", { rows, cols, stride });
      const row = make("div", "lsx-tiles");
      blocks.forEach((block) => row.append(tile(block)));
      group.append(label, row);
      root.append(group);
    }
  }

  function tile(block) {
    const button = make("button", "lsx-tile");
    button.type = "button";
    button.dataset.block = block.name;
    const kind = texts.say(`kind.${block.kind}`);
    button.title = `${block.name} · ${kind}`;
    const short = texts.say(`kind.short.${block.kind}`);
    // What is written on a tile is part of what it is called, for those who speak to the page.
    button.setAttribute("aria-label", kind.includes(short) ? button.title : `${button.title} · ${short}`);
    const canvas = document.createElement("canvas");
    drawThumb(canvas, block);
    const bar = make("span", "lsx-kind", short);
    bar.style.setProperty("--kind", theme.kinds[block.kind]);
    bar.style.color = inkOn(channelsOf(theme.kinds[block.kind]), theme);
    button.append(canvas, bar);
    button.addEventListener("click", () => app.goTo(block.index));
    tiles.push({ button, block });
    return button;
  }

  function drawThumb(canvas, block) {
    const aspect = block.rows / block.cols;
    const pen = fitCanvas(canvas, THUMB, THUMB);
    pen.fillStyle = app.neutral("panel");
    pen.fillRect(0, 0, THUMB, THUMB);
    if (!block.mean) return;
    const range = magnitudeQuantile(block.mean, 0.98);
    const rgba = new Uint8ClampedArray(4 * block.tokens).fill(255);
    const { table } = scales.diverging;
    for (let t = 0; t < block.tokens; t++) {
      const i = 3 * tableIndex(block.mean[t], -range, range);
      rgba.set(table.subarray(i, i + 3), 4 * t);
    }
    pen.imageSmoothingEnabled = false;
    const [w, h] = aspect > 1 ? [THUMB / aspect, THUMB] : [THUMB, THUMB * aspect];
    pen.drawImage(pixelCanvas(block.cols, block.rows, rgba), (THUMB - w) / 2, (THUMB - h) / 2, w, h);
  }

  return {
    draw(changed) {
      if (any(changed, "trace", "lang", "theme")) build();
      if (!any(changed, "trace", "lang", "theme", "block")) return;
      for (const { button, block } of tiles) {
        const current = block === state.block;
        if (current) {
          button.setAttribute("aria-current", "true");
          // Only along the ribbon: scrollIntoView would move the page.
          const left = button.offsetLeft - root.clientWidth / 2 + button.offsetWidth / 2;
          if (root.scrollWidth > root.clientWidth) root.scrollTo({ left, behavior: "auto" });
        } else button.removeAttribute("aria-current");
      }
    },
  };
}
