import { any, drawKernel, fitCanvas, setFont, setText } from "./drawing.js";
import { cropBox, pixelToToken, tapPosition } from "./geometry.js";
import { isOneForAll } from "./mixing.js";
import { entryOf, inkOn, tableIndex } from "./scales.js";
import { kernelRange, meanKernels, shareExplained } from "./statistics.js";
import { numbers, percent } from "./texts.js";

// The same pixel seen three ways: by its own kernel, by one fixed kernel, and by attention over the whole picture.

const KERNEL = 108;
const WRITTEN = 3; // the largest side of a kernel whose taps have room for numbers

export function makeThreeWays(app) {
  const { state, scales, texts } = app;
  const cards = ["ls", "static", "msa"].map((way) => ({
    way,
    root: app.part(`way-${way}`),
    map: app.part(`way-${way}-map`),
    kernel: way === "msa" ? null : app.part(`way-${way}-kernel`),
    where: app.part(`way-${way}-where`),
    text: app.part(`way-${way}-text`),
  }));
  const section = cards[0].root.closest("section");
  let backdrop = null;

  app.part("way-head").addEventListener("change", (event) => {
    const { value } = event.target;
    state.set({ head: value === "mean" ? null : Number(value) });
  });
  for (const { way, where } of cards) {
    where.addEventListener("click", () => {
      const block = blockOf(way);
      if (block) app.goTo(block.index);
    });
  }

  function blockOf(way) {
    const suits = way === "msa" ? (block) => block.heads > 0 : (block) => block.groups > 0;
    return suits(state.block) ? state.block : app.nearestBlock(suits);
  }

  /** The model's view, faded, once per picture, size and theme. */
  function makeBackdrop(width, height) {
    const canvas = document.createElement("canvas");
    const pen = fitCanvas(canvas, width, height);
    const { frame, picture } = state.trace.header;
    const box = cropBox(frame);
    const [fx, fy] = [picture.size[0] / frame.picture[0], picture.size[1] / frame.picture[1]];
    pen.filter = "grayscale(1)";
    if (state.bitmap) {
      const { left, top, right, bottom } = box;
      pen.drawImage(state.bitmap, left * fx, top * fy, (right - left) * fx, (bottom - top) * fy, 0, 0, width, height);
    }
    pen.filter = "none";
    pen.globalAlpha = 0.55;
    pen.fillStyle = app.neutral("paper");
    pen.fillRect(0, 0, width, height);
    return canvas;
  }

  function drawMap(card, block, token) {
    const [modelWidth, modelHeight] = state.trace.header.frame.size;
    const { width, height } = backdrop.box;
    const pen = fitCanvas(card.map, width, height);
    pen.drawImage(backdrop.canvas, 0, 0, width, height);
    const [sx, sy] = [(block.stride * width) / modelWidth, (block.stride * height) / modelHeight];
    const index = token.row * block.cols + token.col;
    if (card.way === "msa") {
      const row = block.attentionRow(index, state.head);
      const most = Math.max(...row);
      for (let t = 0; t < block.tokens; t++) {
        pen.globalAlpha = 0.2 + 0.75 * (row[t] / most);
        pen.fillStyle = scales.sequential.css[Math.round((row[t] / most) * 255)];
        pen.fillRect((t % block.cols) * sx, Math.floor(t / block.cols) * sy, sx, sy);
      }
      pen.globalAlpha = 1;
      return { row, most };
    }
    const kernel = card.way === "ls" ? block.kernelAt(index, state.group) : meanOf(block, state.group);
    const range = kernelRange(block);
    const { side } = block;
    for (let tap = 0; tap < block.taps; tap++) {
      const place = tapPosition(token, tap, side, block);
      if (!place.inside) continue;
      const colour = Math.min(255, Math.max(0, Math.round((kernel[tap] / range) * 127.5 + 127.5)));
      pen.fillStyle = scales.diverging.css[colour];
      pen.fillRect(place.col * sx, place.row * sy, sx, sy);
    }
    const frame = (size, colour) => {
      const reach = size >> 1;
      pen.strokeStyle = colour;
      pen.strokeRect((token.col - reach) * sx, (token.row - reach) * sy, size * sx, size * sy);
    };
    pen.lineWidth = 1.5;
    if (card.way === "ls" && block.kernelLarge) frame(block.kernelLarge, app.theme.perception); // what its kernel was made from
    frame(side, app.theme.aggregation);
    return { kernel, range };
  }

  function meanOf(block, group) {
    return meanKernels(block).subarray(group * block.taps, (group + 1) * block.taps);
  }

  function drawLargeKernel(canvas, kernel, range) {
    const pen = fitCanvas(canvas, KERNEL, KERNEL);
    drawKernel(pen, kernel, 0, 0, KERNEL, range, scales.diverging.css, 1);
    const side = Math.round(Math.sqrt(kernel.length));
    if (side > WRITTEN) return;
    setFont(pen, `11px ${app.theme.font}`);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const cell = KERNEL / side;
    const written = numbers(kernel);
    kernel.forEach((weight, tap) => {
      pen.fillStyle = inkOn(entryOf(scales.diverging.table, tableIndex(weight, -range, range)), app.theme);
      pen.fillText(written[tap], ((tap % side) + 0.5) * cell, (Math.floor(tap / side) + 0.5) * cell);
    });
  }

  function showHeads(block) {
    const select = app.part("way-head");
    select.hidden = !block;
    if (!block) return;
    const options = [["mean", texts.say("head.mean")]];
    for (let head = 0; head < block.heads; head++) options.push([String(head), texts.say("head", { head })]);
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  }

  function name(title, key) {
    title.dataset.text = key; // so that another language finds it
    setText(title, texts.say(key));
  }

  function lsText(block) {
    if (isOneForAll(block)) return "ways.pictureText";
    return block.kernelLarge > 1 ? "ways.lsText" : "ways.ownText";
  }

  return {
    draw(changed) {
      if (!any(changed, "token", "trace", "bitmap", "size", "theme", "block", "group", "head", "lang")) return;
      for (const card of cards) card.root.hidden = !blockOf(card.way);
      section.hidden = cards[0].root.hidden; // attention alone stands in the wall already
      if (section.hidden) return;
      name(section.querySelector("h3"), cards.some((card) => card.root.hidden) ? "ways.two" : "ways.title");
      const anew = any(changed, "trace", "bitmap", "size", "theme");
      if (anew || !backdrop) {
        const room = cards[0].root.clientWidth;
        if (!room) return;
        const [modelWidth, modelHeight] = state.trace.header.frame.size;
        const widest = Math.min(190, room - KERNEL - 40);
        const scale = Math.min(widest / modelWidth, 190 / modelHeight);
        const box = { width: Math.round(modelWidth * scale), height: Math.round(modelHeight * scale) };
        backdrop = { box, canvas: makeBackdrop(box.width, box.height) };
      }
      const described = anew || any(changed, "block", "lang");
      if (described) showHeads(blockOf("msa"));
      if (described || changed.has("head")) app.part("way-head").value = state.head === null ? "mean" : String(state.head);
      for (const card of cards) {
        const block = blockOf(card.way);
        if (!block) continue;
        if (described) card.where.textContent = block.name;
        if (described && card.way === "ls") {
          name(card.root.querySelector("h4"), block.kind === "ls" ? "ways.ls" : "ways.dynamic");
        }
        const token = pixelToToken(state.trace.header.frame, state.pixel.x, state.pixel.y, block);
        const { kernel, range, row, most } = drawMap(card, block, token);
        const moves = card.way === "ls" || described || changed.has("group");
        if (kernel && moves) drawLargeKernel(card.kernel, kernel, range);
        const words = { taps: block.taps, side: block.kernelLarge, group: state.group };
        if (card.way === "ls") setText(card.text, texts.say(lsText(block), words));
        if (card.way === "static") {
          const share = shareExplained(block)[state.group];
          setText(card.text, texts.say("ways.staticText", { ...words, share: percent(share) }));
        }
        if (card.way === "msa") {
          const read = row.reduce((count, weight) => count + (weight > 0), 0);
          const key = block.mixer === "lsra" ? "ways.lsraText" : read < row.length ? "ways.someText" : "ways.msaText";
          setText(card.text, texts.say(key, { read, tokens: row.length, most: percent(most) }));
        }
      }
    },
  };
}
